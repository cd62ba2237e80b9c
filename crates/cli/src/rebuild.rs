//! `tiffin rebuild`: has what a service derives from the log built anew.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::json;
use tiffin_proto::v1::{
    GetRebuildingRequest, GetRebuildingResponse, RebuildOrdersRequest, RebuildOrdersResponse, Rebuilding,
    get_rebuilding_response, rebuild_orders_response,
};

use crate::{
    connection::Connection,
    failure::Failure,
    operations::{Nats, Operations},
    output,
    progress::bar,
};

/// How often it is asked how far the building is.
const EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Builds the list of orders anew while the old one is served, and waits until the new one is. Interrupted, the
    /// building goes on; asked for again, this waits for the same one.
    Orders(Settings),
}

#[derive(Debug, Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    nats: Nats,
}

pub(crate) async fn run(command: Command, json: bool) -> Result<(), Failure> {
    let Command::Orders(settings) = command;
    let operations = settings.nats.connect().await?;
    let begun = Instant::now();
    let first = begin(&operations).await?;
    let last = follow(&operations, first, json).await?;
    let seconds = begun.elapsed().as_secs_f64();
    output::line(if json {
        json!({ "rebuilt": "orders", "events": last.events, "seconds": seconds }).to_string()
    } else {
        format!("orders: built anew from {} events in {seconds:.1} s", last.events)
    })
}

/// Shows how far the building is until it is done. A service that is away for a moment is waited for.
async fn follow(operations: &Operations, first: Rebuilding, json: bool) -> Result<Rebuilding, Failure> {
    let bar = bar(json);
    let mut seen = first;
    let mut connection = Connection::new(json);
    connection.is_there();
    while !seen.done {
        bar.set_length(seen.of);
        bar.set_position(seen.events);
        tokio::time::sleep(EVERY).await;
        match progress(operations, seen.id).await {
            Ok(now) => {
                seen = now;
                bar.suspend(|| connection.is_there());
            }
            Err(failure) => bar.suspend(|| connection.lost(failure))?,
        }
    }
    bar.finish_and_clear();
    Ok(seen)
}

async fn begin(operations: &Operations) -> Result<Rebuilding, Failure> {
    let answer = operations
        .ask("api.orders.rebuild", &RebuildOrdersRequest {})
        .await?;
    match answer {
        RebuildOrdersResponse {
            result: Some(rebuild_orders_response::Result::Rebuilding(rebuilding)),
        } => Ok(rebuilding),
        RebuildOrdersResponse {
            result: Some(rebuild_orders_response::Result::Error(error)),
        } => Err(Failure::from_service(error)),
        RebuildOrdersResponse { result: None } => Err(Failure::fault("the service answered nothing")),
    }
}

async fn progress(operations: &Operations, id: u32) -> Result<Rebuilding, Failure> {
    let answer = operations
        .ask("api.orders.progress", &GetRebuildingRequest { id })
        .await?;
    match answer {
        GetRebuildingResponse {
            result: Some(get_rebuilding_response::Result::Rebuilding(rebuilding)),
        } => Ok(rebuilding),
        GetRebuildingResponse {
            result: Some(get_rebuilding_response::Result::Error(error)),
        } => Err(Failure::from_service(error)),
        GetRebuildingResponse { result: None } => Err(Failure::fault("the service answered nothing")),
    }
}
