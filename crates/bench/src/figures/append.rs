//! Appends to the log.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use tiffin_eventstore::{Append, AppendError, EventStore, Expected, NewEvent, Revision, StreamName, Urgency};
use tokio::time::Instant;
use uuid::Uuid;

use super::{DATA, EVENTS, Engine, KIND, METADATA};
use crate::{
    method::{Comparison, Plan, compare},
    report::{Figure, Goal},
    run::{Clock, Run, Subject, latencies, note},
    usage::Watched,
};

pub(super) const NAME: &str = "append";

/// How long a run is.
const RUN: Duration = Duration::from_secs(4);
/// How many wait for an answer at any time.
const APPENDERS: usize = 256;
/// Every so many appends one is sent twice, as a client does that missed the answer.
const REPEATED: u64 = 64;
/// Where half of the appends conflict: how many are answered for each that is committed.
const ANSWERS: f64 = 2.0;

pub(super) async fn measure(plan: Plan) -> Result<Figure> {
    let mut figure = Figure::new(NAME);
    for (name, engine) in Engine::both().await {
        let without = compared(&engine, plan, false).await?;
        figure.compared(
            &format!("{name}: appends"),
            &without,
            Some(Goal::AtLeast(0.5)),
            None,
        );
        let half = compared(&engine, plan, true).await?;
        figure.compared(
            &format!("{name}: rows, half of the appends conflict"),
            &half,
            None,
            None,
        );
        let rows = half.medians(Run::rate);
        let kept = rows.ratio / without.medians(Run::rate).ratio;
        for (what, value, goal) in [
            (
                "appends answered a second where half conflict",
                ANSWERS * rows.ours,
                None,
            ),
            (
                "these answers, of those without conflicts",
                ANSWERS * kept,
                Some(Goal::AtLeast(0.7)),
            ),
            ("rows committed with conflicts, of those without", kept, None),
        ] {
            figure.alone(format!("{name}: {what}"), value, goal);
        }
    }
    Ok(figure)
}

async fn compared(engine: &Engine, plan: Plan, conflicts: bool) -> Result<Comparison> {
    let mut floor = engine.rows().await?;
    let (store, watched) = engine.log().await?;
    let mut appenders = Appenders::new(store, watched);
    appenders.conflicts = conflicts;
    let comparison = compare(plan, RUN, &mut floor, &mut appenders).await?;
    appenders.store.close().await;
    Ok(comparison)
}

/// Appenders that each write one stream after the other.
pub(super) struct Appenders {
    store: EventStore,
    watched: Watched,
    /// Whether each append is followed by one with a wrong expectation.
    conflicts: bool,
}

impl Appenders {
    /// Without conflicts.
    pub(super) fn new(store: EventStore, watched: Watched) -> Self {
        Self {
            store,
            watched,
            conflicts: false,
        }
    }
}

impl Subject for Appenders {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let clock = Clock::start(&self.watched)?;
        let until = Instant::now() + time;
        let appenders = (0..APPENDERS).map(|_| {
            let appender = Appender {
                store: self.store.clone(),
                conflicts: self.conflicts,
                latency: latencies(),
                committed: 0,
            };
            tokio::spawn(appender.run(until))
        });
        let (mut committed, mut latency) = (0, latencies());
        for done in try_join_all(appenders).await? {
            let (more, histogram) = done?;
            committed += more;
            latency.add(histogram)?;
        }
        clock.stop(committed, latency)
    }
}

struct Appender {
    store: EventStore,
    conflicts: bool,
    latency: Histogram<u64>,
    committed: u64,
}

impl Appender {
    async fn run(mut self, until: Instant) -> Result<(u64, Histogram<u64>)> {
        while Instant::now() < until {
            let stream = StreamName::from(format!("order-{}", Uuid::now_v7()));
            let mut expected = Expected::NoStream;
            for revision in 0..EVENTS {
                let append = append(&stream, expected);
                self.appended(append, revision).await?;
                if self.conflicts {
                    self.refused(&stream, expected, revision).await?;
                }
                expected = Expected::Exact(Revision(revision));
            }
        }
        Ok((self.committed, self.latency))
    }

    async fn appended(&mut self, append: Append, revision: u64) -> Result<()> {
        let repeated = self.committed.is_multiple_of(REPEATED).then(|| append.clone());
        let begun = Instant::now();
        let appended = self.store.append(append).await?;
        note(&mut self.latency, begun.elapsed());
        self.committed += 1;
        ensure!(
            appended.events.len() == 1
                && appended.events[0].revision == Revision(revision)
                && !appended.replayed,
            "an append was answered wrongly: {appended:?}"
        );
        if let Some(again) = repeated {
            ensure!(
                self.store.append(again).await?.replayed,
                "a repetition was not recognised"
            );
        }
        Ok(())
    }

    /// Appends with the expectation that held before the last append.
    async fn refused(&mut self, stream: &StreamName, stale: Expected, actual: u64) -> Result<()> {
        let answer = self.store.append(append(stream, stale)).await;
        let right =
            matches!(&answer, Err(AppendError::Conflict { actual: Some(found), .. }) if found.0 == actual);
        ensure!(right, "a wrong expectation was answered with {answer:?}");
        Ok(())
    }
}

fn append(stream: &StreamName, expected: Expected) -> Append {
    Append {
        stream: stream.clone(),
        expected,
        events: vec![NewEvent {
            id: Uuid::now_v7(),
            kind: Arc::from(KIND),
            data: Bytes::from_static(DATA),
            metadata: Bytes::from_static(METADATA),
        }],
        urgency: Urgency::Continue,
    }
}
