//! The ADR-32 service `api`: what operators ask about the list of orders.

use std::{fmt::Display, sync::Arc};

use tiffin_bus::{Endpoint, ServiceSpec};
use tiffin_eventstore::EventStore;
use tiffin_platform::{answer, error};
use tiffin_proto::v1::{
    self, get_rebuilding_response::Result as Known, rebuild_orders_response::Result as Begun,
};
use tokio::sync::Notify;

use crate::tables::{Generation, Tables};

/// Begins buildings of the list, and knows how far they are. Any replica can: what they are is in the tables.
#[derive(Clone)]
pub(crate) struct Rebuilds {
    pub(crate) store: EventStore,
    pub(crate) tables: Tables,
    /// Tells this process that a building was begun.
    pub(crate) wanted: Arc<Notify>,
}

/// The service and its endpoints.
pub(crate) fn spec(rebuilds: &Rebuilds) -> ServiceSpec {
    let (begin, progress) = (rebuilds.clone(), rebuilds.clone());
    let endpoints = vec![
        Endpoint::new("rebuild", "api.orders.rebuild", move |request| {
            let rebuilds = begin.clone();
            let work = async move |v1::RebuildOrdersRequest {}, _| rebuilds.begin().await;
            answer(request, work, |result| v1::RebuildOrdersResponse {
                result: Some(result.map_or_else(Begun::Error, Begun::Rebuilding)),
            })
        }),
        Endpoint::new("progress", "api.orders.progress", move |request| {
            let rebuilds = progress.clone();
            let work = async move |v1::GetRebuildingRequest { id }, _| rebuilds.progress(id).await;
            answer(request, work, |result| v1::GetRebuildingResponse {
                result: Some(result.map_or_else(Known::Error, Known::Rebuilding)),
            })
        }),
    ];
    ServiceSpec {
        name: "api",
        version: env!("CARGO_PKG_VERSION"),
        description: "Takes orders, and keeps the list of them.",
        endpoints,
    }
}

impl Rebuilds {
    pub(crate) async fn begin(&self) -> Result<v1::Rebuilding, v1::Error> {
        let generation = self.tables.begin_building().await.map_err(unavailable)?;
        tracing::info!(?generation, "a building of the list of orders is wanted");
        self.wanted.notify_one();
        self.of(generation).await
    }

    pub(crate) async fn progress(&self, id: u32) -> Result<v1::Rebuilding, v1::Error> {
        let generation = Generation::from_id(id);
        let generations = self.tables.generations().await.map_err(unavailable)?;
        if !generations.have_seen(generation) {
            let message = format_args!("there is no building {id}");
            let hint = "Use the id that api.orders.rebuild answered.";
            return Err(error("NOT_FOUND", message, hint));
        }
        self.of(generation).await
    }

    async fn of(&self, generation: Generation) -> Result<v1::Rebuilding, v1::Error> {
        let live = self.tables.generations().await.map_err(unavailable)?.live;
        if live > generation {
            let message = format_args!("another list has taken the place of building {}", generation.id());
            let hint = "If nobody began one, the log was replaced meanwhile, and the list is built from the new one.";
            return Err(error("NOT_FOUND", message, hint));
        }
        let head = self.store.head().await.map_err(unavailable)?.position;
        let done = live == generation;
        let reached = if done {
            head
        } else {
            let reached = self.tables.checkpoint(generation).await.map_err(unavailable)?;
            reached.position
        };
        Ok(v1::Rebuilding {
            id: generation.id(),
            done,
            events: reached.0,
            of: head.0.max(reached.0),
        })
    }
}

fn unavailable(problem: impl Display) -> v1::Error {
    tracing::warn!(error = %problem, "a request about the list of orders could not be answered");
    error(
        "UNAVAILABLE",
        "the list cannot be reached at the moment",
        "Send the same request again in a moment.",
    )
}
