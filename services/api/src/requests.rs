//! The ADR-32 service `api`: what operators ask about the list of orders.

use std::{fmt::Display, sync::Arc};

use bytes::Bytes;
use prost::{Message, Name};
use tiffin_bus::{Endpoint, ServiceError, ServiceSpec};
use tiffin_eventstore::EventStore;
use tiffin_proto::{
    Language,
    v1::{self, get_rebuilding_response, rebuild_orders_response},
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
            async move {
                let language = Language::of(&request.payload);
                let result = match language.read(&request.payload) {
                    Ok(v1::RebuildOrdersRequest {}) => rebuilds.begin().await,
                    Err(problem) => Err(wrong(problem)),
                };
                let result = result.map_or_else(
                    rebuild_orders_response::Result::Error,
                    rebuild_orders_response::Result::Rebuilding,
                );
                let result = Some(result);
                write(language, &v1::RebuildOrdersResponse { result })
            }
        }),
        Endpoint::new("progress", "api.orders.progress", move |request| {
            let rebuilds = progress.clone();
            async move {
                let language = Language::of(&request.payload);
                let result = match language.read(&request.payload) {
                    Ok(v1::GetRebuildingRequest { id }) => rebuilds.progress(id).await,
                    Err(problem) => Err(wrong(problem)),
                };
                let result = result.map_or_else(
                    get_rebuilding_response::Result::Error,
                    get_rebuilding_response::Result::Rebuilding,
                );
                let result = Some(result);
                write(language, &v1::GetRebuildingResponse { result })
            }
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
            return Err(v1::Error {
                code: "NOT_FOUND".to_owned(),
                message: format!("there is no building {id}"),
                hint: "Use the id that api.orders.rebuild answered.".to_owned(),
            });
        }
        self.of(generation).await
    }

    async fn of(&self, generation: Generation) -> Result<v1::Rebuilding, v1::Error> {
        let live = self.tables.generations().await.map_err(unavailable)?.live;
        if live > generation {
            return Err(v1::Error {
                code: "NOT_FOUND".to_owned(),
                message: format!("another list has taken the place of building {}", generation.id()),
                hint: "If nobody began one, the log was replaced meanwhile, and the list is built from the new one."
                    .to_owned(),
            });
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

fn write<M: Message + Name>(language: Language, answer: &M) -> Result<Bytes, ServiceError> {
    language
        .write(answer)
        .map(Bytes::from)
        .map_err(|error| ServiceError {
            code: 500,
            message: error.to_string(),
        })
}

fn wrong(problem: impl Display) -> v1::Error {
    v1::Error {
        code: "BAD_USER_INPUT".to_owned(),
        message: problem.to_string(),
        hint: "Send the request as protobuf, or as a JSON object.".to_owned(),
    }
}

fn unavailable(error: impl Display) -> v1::Error {
    tracing::warn!(%error, "a request about the list of orders could not be answered");
    v1::Error {
        code: "UNAVAILABLE".to_owned(),
        message: "the list cannot be reached at the moment".to_owned(),
        hint: "Send the same request again in a moment.".to_owned(),
    }
}
