//! One customer: places one order, whatever it takes, and watches it to its end, whatever it takes.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tiffin_testkit::SseEvent;
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    board::Entry,
    history::{Answer, Seen},
};
use crate::client::{After, Client, Outcome, judge};

/// One customer in so many sends the order once more after it was acknowledged.
const DOUBTFUL: u32 = 8;

/// Lives a customer's life; it ends when the subscription does.
pub(super) async fn live(number: u32, client: Client, entry: Entry) {
    let key = format!("torture-{}-{number}", Uuid::now_v7());
    let Some(id) = place(&client, &entry, &key).await else {
        return;
    };
    if number.is_multiple_of(DOUBTFUL) {
        place(&client, &entry, &key).await;
    }
    while let Err(_broken) = watch(number, &client, &entry, id).await {
        pause().await;
    }
}

/// Sends the order until there is an answer; none if the answer makes no sense.
async fn place(client: &Client, entry: &Entry, key: &str) -> Option<Uuid> {
    let label = entry.write().label.clone();
    loop {
        let now = entry.now();
        entry.write().sent.get_or_insert(now);
        match client.create(&label, Some(key)).await {
            Outcome::Done(order) => match answer(&order) {
                Ok(answer) => {
                    let (id, now) = (answer.id, entry.now());
                    let mut placement = entry.write();
                    placement.answers.push(answer);
                    placement.acknowledged.get_or_insert(now);
                    return Some(id);
                }
                Err(error) => return wrong(entry, format!("{error}: {order}")),
            },
            Outcome::Refused(why) => return wrong(entry, why),
            Outcome::NotNow(_) => entry.write().refused += 1,
            Outcome::Unknown(_) => entry.write().unknown += 1,
        }
        pause().await;
    }
}

fn wrong(entry: &Entry, what: String) -> Option<Uuid> {
    entry.write().wrong.push(what);
    None
}

fn answer(order: &Value) -> Result<Answer> {
    let id = order["id"].as_str().context("without an id")?.parse()?;
    ensure!(
        order["status"] == "PENDING" && order["version"] == 1,
        "not a new order"
    );
    let body = order.to_string();
    Ok(Answer { id, body })
}

/// Follows one connection; it is an error if it breaks off.
async fn watch(number: u32, client: &Client, entry: &Entry, id: Uuid) -> Result<()> {
    let newest = {
        let mut placement = entry.write();
        placement.connections += 1;
        placement.newest()
    };
    // The two ways to say where to go on, in turn.
    let after = if number.is_multiple_of(2) {
        After::EventId(newest)
    } else {
        After::Version(newest)
    };
    let mut events = client.watch(&id.to_string(), after).await?;
    while let Some(event) = events.next().await? {
        match event.event.as_str() {
            "next" => see(entry, &event)?,
            "complete" => {
                entry.write().completed = true;
                return Ok(());
            }
            other => bail!("an event {other:?}"),
        }
    }
    bail!("the stream ended without being complete")
}

fn see(entry: &Entry, event: &SseEvent) -> Result<()> {
    let result = event.json()?;
    let update = match judge(&result, "onOrderUpdated") {
        Outcome::Done(update) => update,
        Outcome::Refused(why) => {
            let what = format!("a subscription to an acknowledged order was refused: {why}");
            entry.write().wrong.push(what);
            bail!("refused: {why}");
        }
        Outcome::NotNow(why) | Outcome::Unknown(why) => bail!("not now: {why}"),
    };
    let version = update["version"].as_u64();
    let Some(version) = version.and_then(|version| u32::try_from(version).ok()) else {
        bail!("not an update: {result}");
    };
    let status = update["status"].as_str().unwrap_or_default().to_owned();
    let at = entry.now();
    let mut placement = entry.write();
    if event.id != version.to_string() {
        let what = format!("version {version} came under the event id {:?}", event.id);
        placement.wrong.push(what);
    }
    placement.seen.push(Seen { version, status, at });
    Ok(())
}

/// A little while, drawn anew each time, so that clients do not come all at once.
async fn pause() {
    sleep(Duration::from_millis(rand::random_range(50..500))).await;
}
