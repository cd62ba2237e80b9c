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
    output::line(match last {
        Some(last) if json => {
            json!({ "rebuilt": "orders", "events": last.events, "seconds": seconds }).to_string()
        }
        Some(last) => format!("orders: built anew from {} events in {seconds:.1} s", last.events),
        None if json => json!({ "rebuilt": "orders", "replaced": true, "seconds": seconds }).to_string(),
        None => format!("orders: built anew in {seconds:.1} s; another list has taken its place since"),
    })
}

/// Shows how far the building is until it is done, or a later one is: then there is nothing to be told of this one. A
/// service that is away for a moment is waited for.
async fn follow(
    operations: &Operations,
    first: Rebuilding,
    json: bool,
) -> Result<Option<Rebuilding>, Failure> {
    let bar = bar(json);
    let mut seen = first;
    let mut connection = Connection::new(json);
    connection.is_there();
    while !seen.done {
        bar.set_length(seen.of);
        bar.set_position(seen.events);
        tokio::time::sleep(EVERY).await;
        match progress(operations, seen.id).await {
            Ok(Some(now)) => {
                seen = now;
                bar.suspend(|| connection.is_there());
            }
            Ok(None) => {
                bar.finish_and_clear();
                return Ok(None);
            }
            Err(failure) => bar.suspend(|| connection.lost(failure))?,
        }
    }
    bar.finish_and_clear();
    Ok(Some(seen))
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

/// How far a building is that was begun; none once another list has taken its place.
async fn progress(operations: &Operations, id: u32) -> Result<Option<Rebuilding>, Failure> {
    let answer = operations
        .ask("api.orders.progress", &GetRebuildingRequest { id })
        .await?;
    match answer {
        GetRebuildingResponse {
            result: Some(get_rebuilding_response::Result::Rebuilding(rebuilding)),
        } => Ok(Some(rebuilding)),
        GetRebuildingResponse {
            result: Some(get_rebuilding_response::Result::Error(error)),
        } if error.code == "NOT_FOUND" => Ok(None),
        GetRebuildingResponse {
            result: Some(get_rebuilding_response::Result::Error(error)),
        } => Err(Failure::from_service(error)),
        GetRebuildingResponse { result: None } => Err(Failure::fault("the service answered nothing")),
    }
}
