-- Which generation of a list is served, and which one is being built to take its place. They only ever rise.
CREATE TABLE lists (
  name     TEXT PRIMARY KEY,
  live     INTEGER NOT NULL,
  building INTEGER -- NULL: none
) STRICT, WITHOUT ROWID;

INSERT INTO lists (name, live) VALUES ('orders', 1);

-- One row for each order, in each generation. Numbers rise with the time of creation.
CREATE TABLE orders (
  generation INTEGER NOT NULL,
  number     INTEGER NOT NULL, -- of the order's stream in the log
  order_id   BLOB NOT NULL,
  status     INTEGER NOT NULL, -- as in tiffin.order.v1.OrderStatus
  version    INTEGER NOT NULL,
  created_at INTEGER NOT NULL, -- microseconds since 1970
  updated_at INTEGER NOT NULL, -- microseconds since 1970
  public     BLOB NOT NULL, -- of the order's last visible event: the whole order
  PRIMARY KEY (generation, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX orders_status ON orders (generation, status, number);

-- Makes a number of a time.
CREATE INDEX orders_created_at ON orders (generation, created_at, number);
