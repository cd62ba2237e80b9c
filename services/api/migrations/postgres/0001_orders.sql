-- Which generation of a list is served, and which one is being built to take its place. They only ever rise.
CREATE TABLE lists (
  name     text PRIMARY KEY,
  live     integer NOT NULL,
  building integer -- NULL: none
);

INSERT INTO lists (name, live) VALUES ('orders', 1);

-- One row for each order, in each generation. Numbers rise with the time of creation.
CREATE TABLE orders (
  generation integer NOT NULL,
  number     bigint NOT NULL, -- of the order's stream in the log
  order_id   uuid NOT NULL,
  status     smallint NOT NULL, -- as in tiffin.order.v1.OrderStatus
  version    integer NOT NULL,
  created_at bigint NOT NULL, -- microseconds since 1970
  updated_at bigint NOT NULL, -- microseconds since 1970
  public     bytea NOT NULL, -- of the order's last visible event: the whole order
  PRIMARY KEY (generation, number)
);

CREATE INDEX orders_status ON orders (generation, status, number);

-- Makes a number of a time.
CREATE INDEX orders_created_at ON orders (generation, created_at, number);
