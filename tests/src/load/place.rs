//! Places one order, whatever it takes.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::book::Book;
use crate::client::{Client, Outcome, id};

/// Sends the order under one idempotency key until it is acknowledged.
pub(super) async fn one(number: u64, client: Client, book: Arc<Book>) {
    book.write().begun += 1;
    let key = format!("load-{}-{number}", book.run);
    loop {
        book.write().requests += 1;
        let outcome = client.create("Dal", Some(&key)).await;
        let now = book.now();
        match outcome {
            Outcome::Done(order) if !id(&order).is_empty() => return book.acknowledge(id(&order).to_owned()),
            Outcome::Done(order) => {
                return book
                    .write()
                    .wrong
                    .add(now, &format!("an order without an id: {order}"));
            }
            Outcome::Refused(why) => {
                return book
                    .write()
                    .wrong
                    .add(now, &format!("an order was refused: {why}"));
            }
            Outcome::NotNow(why) | Outcome::Unknown(why) => book.write().failed.add(now, &why),
        }
        pause().await;
    }
}

/// A little while, drawn anew each time, so that clients do not come all at once.
pub(super) async fn pause() {
    sleep(Duration::from_millis(rand::random_range(50..500))).await;
}
