//! A subscriber's screen: what came, and how long after its commit.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tiffin_testkit::{Postgres, SseStream};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::client::{After, Client};

/// The database's clock, carried on by this process'.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    read: Instant,
    then: OffsetDateTime,
}

impl Clock {
    /// Reads the clock of the server that the tests share.
    pub async fn read() -> Result<Self> {
        let sql = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
        let server = Postgres::shared().await;
        let asked = Instant::now();
        let text = server.execute(None, sql.to_owned()).await;
        // It was read somewhere in between.
        let read = asked + asked.elapsed() / 2;
        let then = OffsetDateTime::parse(&text, &Rfc3339)?;
        Ok(Self { read, then })
    }

    /// The time.
    pub fn now(&self) -> OffsetDateTime {
        self.then + self.read.elapsed()
    }
}

/// One update.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The order's version.
    pub version: u32,
    /// Its status.
    pub status: String,
    /// When it was committed.
    pub committed: OffsetDateTime,
    /// When it came; by the same clock.
    pub came: OffsetDateTime,
}

impl Update {
    /// How long it took from the commit to the screen.
    pub fn delay(&self) -> Duration {
        (self.came - self.committed).try_into().unwrap_or_default()
    }
}

/// A subscription to one order.
pub struct Screen {
    events: SseStream,
    clock: Clock,
}

impl Screen {
    /// Subscribes.
    pub async fn new(client: &Client, id: &str, after: After, clock: Clock) -> Result<Self> {
        let events = client.watch(id, after).await?;
        Ok(Self { events, clock })
    }

    /// The next update; none once the subscription is complete.
    pub async fn next(&mut self) -> Result<Option<Update>> {
        let event = self
            .events
            .next()
            .await?
            .context("ended without being complete")?;
        let came = self.clock.now();
        match event.event.as_str() {
            "next" => Ok(Some(update(&event.json()?, came)?)),
            "complete" => Ok(None),
            other => bail!("an event {other:?}"),
        }
    }

    /// All updates until the subscription is complete.
    pub async fn to_the_end(mut self) -> Result<Vec<Update>> {
        let mut updates = Vec::new();
        while let Some(update) = self.next().await? {
            updates.push(update);
        }
        Ok(updates)
    }
}

fn update(result: &Value, came: OffsetDateTime) -> Result<Update> {
    let update = &result["data"]["onOrderUpdated"];
    ensure!(update.is_object(), "not an update: {result}");
    let version = update["version"].as_u64().context("no version")?;
    let committed = update["updatedAt"].as_str().context("no updatedAt")?;
    Ok(Update {
        version: version.try_into()?,
        status: update["status"].as_str().context("no status")?.to_owned(),
        committed: OffsetDateTime::parse(committed, &Rfc3339)?,
        came,
    })
}

/// The versions and statuses, in a form that is quickly compared.
pub fn story(updates: &[Update]) -> Vec<(u32, &str)> {
    updates
        .iter()
        .map(|update| (update.version, update.status.as_str()))
        .collect()
}

/// What every order is that nobody disturbs.
pub const WHOLE: [(u32, &str); 5] = [
    (1, "PENDING"),
    (2, "PAID"),
    (3, "PREPARING"),
    (4, "OUT_FOR_DELIVERY"),
    (5, "DELIVERED"),
];
