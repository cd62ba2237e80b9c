//! `tiffin order`: what a customer, or whoever stands in for one, does.

mod cancel;
mod events;
mod generate;
mod get;
mod list;
mod place;
mod watch;

use clap::Subcommand;
use serde_json::Value;

use crate::failure::{Exit, Failure};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Places an order and prints its id and status.
    Place(place::Settings),
    /// Places orders steadily, for trying out what else there is.
    Generate(generate::Settings),
    /// Shows an order with everything that happened to it.
    Get(get::Settings),
    /// Shows orders, the newest first; for staff.
    List(list::Settings),
    /// Shows an order's state and then every change until it is finished; goes on by itself after a lost connection.
    Watch(watch::Settings),
    /// Cancels an order that is not yet on its way.
    Cancel(cancel::Settings),
}

pub(crate) async fn run(command: Command, json: bool) -> Result<(), Failure> {
    match command {
        Command::Place(settings) => place::run(settings, json).await,
        Command::Generate(settings) => generate::run(settings, json).await,
        Command::Get(settings) => get::run(settings, json).await,
        Command::List(settings) => list::run(settings, json).await,
        Command::Watch(settings) => watch::run(settings, json).await,
        Command::Cancel(settings) => cancel::run(settings, json).await,
    }
}

/// Some fields of an object as one line for people; what is null is left out.
fn words(object: &Value, fields: &[&str]) -> String {
    let words = fields.iter().map(|field| word(&object[field]));
    let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// A text or a number without quotes; nothing for null.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The order, unless it is null.
fn found(order: Value, id: &str) -> Result<Value, Failure> {
    if order.is_null() {
        let failure = Failure::new(Exit::NotFound, format_args!("there is no order {id}"));
        return Err(failure.hint("Check the id; an order of somebody else does not exist."));
    }
    Ok(order)
}
