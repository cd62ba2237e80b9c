//! What users of NATS and roles of the database may not do.

/// What a user may not publish to.
pub(super) const UNPUBLISHED: [(&str, &[&str]); 5] = [
    (
        "api",
        &[
            "order.updated.x",
            "order.parked.x",
            "again.shop.order.created.x",
            "orders.events.republish",
            "_INBOX_orders.x",
            "_INBOX_notifier.x",
            "$JS.ACK.ORDER_CREATED.orders-saga.1.1.1.1.0",
            "$JS.API.CONSUMER.MSG.NEXT.ORDER_CREATED.orders-saga",
            "$JS.API.CONSUMER.CREATE.ORDER_CREATED",
            "$JS.API.CONSUMER.CREATE.ORDER_CREATED.orders-saga",
            "$JS.API.CONSUMER.CREATE.ORDER_UPDATED",
            "$JS.API.STREAM.UPDATE.ORDER_UPDATED",
        ],
    ),
    (
        "orders",
        &[
            "order.created.x",
            "api.orders.rebuild",
            "_INBOX_notifier.x",
            "$JS.API.STREAM.UPDATE.ORDER_CREATED",
            "$JS.API.CONSUMER.CREATE.ORDER_CREATED",
            "$JS.API.CONSUMER.DELETE.ORDER_CREATED.orders-saga",
        ],
    ),
    (
        "notifier",
        &[
            "order.created.x",
            "order.updated.x",
            "log.committed",
            "orders.order.cancel",
            "_INBOX_api.x",
            "$JS.API.STREAM.CREATE.ORDER_UPDATED",
            "$JS.API.STREAM.UPDATE.ORDER_UPDATED",
            "$JS.API.CONSUMER.MSG.NEXT.ORDER_CREATED.orders-saga",
        ],
    ),
    (
        "follower",
        &[
            "order.created.x",
            "order.updated.x",
            "order.parked.x",
            "log.committed",
            "orders.order.get",
            "api.orders.rebuild",
            "_INBOX_orders.x",
            "_INBOX.x",
            "$JS.ACK.ORDER_CREATED.orders-saga.1.1.1.1.0",
            "$JS.API.CONSUMER.MSG.NEXT.ORDER_CREATED.orders-saga",
            "$JS.API.CONSUMER.CREATE.ORDER_CREATED.orders-saga",
            "$JS.API.CONSUMER.CREATE.ORDER_CREATED.orders-saga.order.created.x",
            "$JS.API.CONSUMER.DURABLE.CREATE.ORDER_CREATED.orders-saga",
            "$JS.API.CONSUMER.DELETE.ORDER_CREATED.orders-saga",
            "$JS.API.CONSUMER.CREATE.ORDER_CREATED",
            "$JS.API.CONSUMER.CREATE.ORDER_AGAIN.x",
            "$JS.API.STREAM.UPDATE.ORDER_UPDATED",
            "$JS.API.STREAM.PURGE.ORDER_UPDATED",
        ],
    ),
    (
        "operator",
        &[
            "order.created.x",
            "order.updated.x",
            "log.committed",
            "$SYS.REQ.SERVER.PING",
            "$SYS.REQ.SERVER.PING.VARZ",
        ],
    ),
];

/// What no service may publish to.
pub(super) const NOBODYS: [&str; 6] = [
    "$JS.API.STREAM.DELETE.ORDER_CREATED",
    "$JS.API.STREAM.DELETE.ORDER_UPDATED",
    "$JS.API.STREAM.PURGE.ORDER_AGAIN",
    "$JS.API.STREAM.CREATE.MINE",
    "$JS.API.STREAM.MSG.DELETE.ORDER_UPDATED",
    "$SYS.REQ.SERVER.PING",
];

/// What a user may not listen to.
pub(super) const UNHEARD: [(&str, &[&str]); 5] = [
    (
        "api",
        &[
            ">",
            "order.>",
            "_INBOX.>",
            "_INBOX_orders.>",
            "orders.order.*",
            "$SYS.>",
        ],
    ),
    (
        "orders",
        &[
            ">",
            "_INBOX_api.>",
            "_INBOX.>",
            "api.orders.*",
            "$JS.API.>",
            "$SYS.>",
        ],
    ),
    (
        "notifier",
        &[
            ">",
            "order.>",
            "_INBOX_api.>",
            "log.committed",
            "orders.>",
            "$SYS.>",
        ],
    ),
    (
        "follower",
        &[
            ">",
            "_INBOX.>",
            "_INBOX_orders.>",
            "orders.order.*",
            "api.orders.*",
            "again.>",
            "log.committed",
            "$JS.>",
            "$SYS.>",
        ],
    ),
    (
        "operator",
        &[">", "_INBOX_api.>", "_INBOX_orders.>", "orders.order.*", "$SYS.>"],
    ),
];

/// What no service may do in SQL.
pub(super) const FORBIDDEN: [&str; 12] = [
    "INSERT INTO log.events SELECT * FROM log.events LIMIT 1",
    "UPDATE log.events SET revision = revision",
    "DELETE FROM log.events",
    "TRUNCATE log.events",
    "UPDATE log.schema_versions SET version = 0",
    "ALTER TABLE log.events DISABLE TRIGGER ALL",
    "CREATE TABLE log.mine ()",
    "CREATE TABLE public.mine ()",
    "CREATE TEMP TABLE mine ()",
    "CREATE SCHEMA mine",
    "SET ROLE tiffin_owner",
    "SELECT lo_create(0)",
];

const START: &str = "SELECT log.start_v1(0, NULL, '{order-x}', '{0}', '{}', '{}', '{}', '{}')";
const APPEND: &str = "SELECT log.append_v1(0, NULL, '{order-x}', '{-1}', '{0}', '{}', '{}', '{}', '{}')";

/// What one role may not do though another may.
pub(super) const OTHERS: [(&str, &[&str]); 3] = [
    (
        "api",
        &[
            APPEND,
            "SELECT * FROM orders.wakeups",
            "UPDATE api.schema_versions SET version = 0",
            "DROP TABLE api.orders",
            "CREATE TABLE api.mine ()",
        ],
    ),
    (
        "orders",
        &[
            "SELECT * FROM api.orders",
            "UPDATE orders.schema_versions SET version = 0",
            "CREATE TABLE orders.mine ()",
        ],
    ),
    (
        "notifier",
        &[
            START,
            APPEND,
            "SELECT * FROM log.look_v1('{}', '{}', '{}', '{}')",
            "SELECT * FROM api.orders",
            "SELECT * FROM orders.wakeups",
        ],
    ),
];
