//! The bus against real nats-servers and a real log, whatever is done to them.

mod cluster;
mod connection;
mod consumer;
mod feed;
mod postgres;
mod relay;
mod republish;
mod service;
mod tls;
mod world;
