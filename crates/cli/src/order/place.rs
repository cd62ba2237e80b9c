//! `tiffin order place`.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{failure::Failure, output, server::Server};

/// How often an order is placed under one key while the server cannot be reached or has no time.
const ATTEMPTS: usize = 3;

/// How long to wait between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

const PLACE: &str = "mutation Place($input: CreateOrderInput!) {
  createOrder(input: $input) { id status version createdAt products { name quantity } }
}";

#[derive(Debug, Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    server: Server,
    /// What to order: a product's name, and after a colon how many of it if more than one, as in `Margherita:2`.
    #[arg(required = true, value_name = "PRODUCT[:QUANTITY]")]
    products: Vec<Product>,
    /// Makes repeating safe: the same key with the same products is the same order. Made up if it is not given.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Watches the order after placing it.
    #[arg(long)]
    watch: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Product {
    name: String,
    quantity: i64,
}

pub(super) async fn run(settings: Settings, json: bool) -> Result<(), Failure> {
    let key = settings
        .idempotency_key
        .unwrap_or_else(|| Uuid::now_v7().to_string());
    let products: Vec<Value> = settings
        .products
        .iter()
        .map(|product| json!({ "name": product.name, "quantity": product.quantity }))
        .collect();
    let variables = json!({ "input": { "products": products, "idempotencyKey": key } });
    let order = place(&settings.server, &variables)
        .await
        .map_err(|failure| explain(failure, &key))?;
    output::line(if json {
        order.to_string()
    } else {
        super::words(&order, &["id", "status"])
    })?;
    if settings.watch {
        let id = super::word(&order["id"]);
        return super::watch::follow(&settings.server, &id, Some(1), Some(Instant::now()), json).await;
    }
    Ok(())
}

async fn place(server: &Server, variables: &Value) -> Result<Value, Failure> {
    let mut attempt = 1;
    loop {
        match server.run(PLACE, variables).await {
            Ok(mut data) => return Ok(data["createOrder"].take()),
            Err(failure) if failure.retryable() && attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// An order whose fate is unknown can be asked for again without harm.
fn explain(failure: Failure, key: &str) -> Failure {
    if failure.retryable() {
        failure.hint(format!(
            "The order may have been placed. To be sure without placing it twice, repeat with --idempotency-key {key}"
        ))
    } else {
        failure
    }
}

impl From<String> for Product {
    fn from(text: String) -> Self {
        // A colon that is not followed by a number belongs to the name.
        let split = text
            .rsplit_once(':')
            .and_then(|(name, quantity)| Some((name.to_owned(), quantity.parse().ok()?)));
        let (name, quantity) = split.unwrap_or((text, 1));
        Self { name, quantity }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_a_name_and_perhaps_a_quantity() {
        let expect = |text: &str, name: &str, quantity| {
            let name = name.to_owned();
            assert_eq!(Product::from(text.to_owned()), Product { name, quantity });
        };
        expect("Dal", "Dal", 1);
        expect("Dal:3", "Dal", 3);
        expect("Menu 1: Dal", "Menu 1: Dal", 1);
        expect("Menu 1: Dal:-2", "Menu 1: Dal", -2);
    }
}
