//! What a user of the whole system may rely on, each with real processes, PostgreSQL and nats-server.

mod backup;
mod bad_input;
mod bombs;
mod broker_frozen;
mod cluster;
mod collector_away;
mod cookbook;
mod faces;
mod grants;
mod load;
mod nats_cli;
mod one_key;
mod readme;
mod replicas;
mod restored;
mod sqlite;
mod standby;
mod traced;
