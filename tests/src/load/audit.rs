//! Looks at every acknowledged order once more when all is over.

use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::book::Book;
use crate::client::{Client, Outcome};

/// How many orders are asked for at a time.
const AT_ONCE: usize = 16;

/// Asks for each order until it is finished or the time is over, and notes which are whole.
pub(super) async fn orders(client: &Client, book: &Book, deadline: Instant) {
    let ids: Vec<String> = book.write().orders.keys().cloned().collect();
    let looks = futures::stream::iter(ids).map(async |id| {
        let found = finished(client, &id, deadline).await;
        (id, found)
    });
    let mut looks = std::pin::pin!(looks.buffer_unordered(AT_ONCE));
    while let Some((id, found)) = looks.next().await {
        let now = book.now();
        let mut notes = book.write();
        match found {
            Ok(()) => {
                notes.orders.insert(id, true);
            }
            Err(why) => notes.wrong.add(now, &format!("order {id}: {why}")),
        }
    }
}

async fn finished(client: &Client, id: &str, deadline: Instant) -> Result<(), String> {
    loop {
        let state = match client.order(id).await {
            Outcome::Done(order) if order["status"] == "DELIVERED" => return whole(&order),
            Outcome::Done(Value::Null) => return Err("is lost".to_owned()),
            Outcome::Done(order) => format!("is still {}", order["status"]),
            Outcome::Refused(why) => return Err(format!("cannot be read: {why}")),
            Outcome::NotNow(why) | Outcome::Unknown(why) => why,
        };
        if Instant::now() >= deadline {
            return Err(state);
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Whether the timeline has each version once, in order.
fn whole(order: &Value) -> Result<(), String> {
    let changes = order["timeline"].as_array().map_or(&[][..], Vec::as_slice);
    let versions: Vec<u64> = changes
        .iter()
        .filter_map(|change| change["version"].as_u64())
        .collect();
    let last = order["version"].as_u64().unwrap_or_default();
    if last > 0 && versions.iter().copied().eq(1..=last) {
        Ok(())
    } else {
        Err(format!("is at version {last} with the timeline {versions:?}"))
    }
}
