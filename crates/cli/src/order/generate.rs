//! `tiffin order generate`.

use std::{num::NonZeroUsize, time::Duration};

use clap::Args;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::place::place;
use crate::{connection::Connection, failure::Failure, output, server::Server};

/// What is ordered, by turns.
const MENU: [&str; 5] = ["Dal", "Naan", "Palak Paneer", "Biryani", "Mango Lassi"];

/// The largest quantity of a product.
const LARGEST: usize = 3;

#[derive(Debug, Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    server: Server,
    /// How many orders a second; fewer if the server takes longer over each, for they are placed one after the other.
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = pause)]
    rate: Duration,
    /// Ends after so many orders; without it goes on until it is stopped.
    #[arg(long, value_name = "NUMBER")]
    limit: Option<NonZeroUsize>,
}

pub(super) async fn run(settings: Settings, json: bool) -> Result<(), Failure> {
    let mut connection = Connection::new(json);
    let mut turns = interval(settings.rate);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let run = Uuid::now_v7();
    let mut placed = 0;
    while settings.limit.is_none_or(|limit| placed < limit.get()) {
        turns.tick().await;
        // What got no answer is sent again as the same order.
        let key = format!("{run}-{placed}");
        match place(&settings.server, &products(placed), &key).await {
            Ok(order) => {
                connection.is_there();
                placed += 1;
                output::line(if json {
                    order.to_string()
                } else {
                    super::words(&order, &["id", "status"])
                })?;
            }
            Err(failure) => connection.lost(failure)?,
        }
    }
    Ok(())
}

/// One of the menu, and every other time something with it.
fn products(number: usize) -> Vec<Value> {
    let product = |turn: usize| json!({ "name": MENU[turn % MENU.len()], "quantity": 1 + turn % LARGEST });
    (number..=number + number % 2).map(product).collect()
}

/// The time from one order to the next at so many a second.
fn pause(rate: &str) -> Result<Duration, String> {
    let rate: Option<f64> = rate.parse().ok().filter(|rate| (0.001..=1_000.0).contains(rate));
    rate.map(|rate| Duration::from_secs_f64(1.0 / rate))
        .ok_or_else(|| "write a number from 0.001 to 1000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_pause() {
        assert_eq!(pause("4"), Ok(Duration::from_millis(250)));
        assert_eq!(pause("0.5"), Ok(Duration::from_secs(2)));
        for wrong in ["0", "-1", "NaN", "inf", "2000", "x"] {
            assert!(pause(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn orders_are_not_all_the_same() {
        let orders: Vec<_> = (0..3).map(products).collect();
        assert!(
            orders.iter().all(|order| (1..=2).contains(&order.len())),
            "{orders:?}"
        );
        assert!(orders[0] != orders[1] && orders[1] != orders[2] && orders[2] != orders[0]);
    }
}
