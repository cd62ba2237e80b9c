//! `tiffin order place`.

use std::{str::FromStr, time::Duration};

use clap::Args;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{connection::Connection, failure::Failure, output, server::Server};

/// How often an order is placed under one key while the server cannot be reached or has no time.
const ATTEMPTS: usize = 3;

/// How long to wait between two attempts, unless the server says it.
const PAUSE: Duration = Duration::from_secs(1);

const PLACE: &str = "mutation Place($input: CreateOrderInput!) {
  createOrder(input: $input) { id status version createdAt products { name quantity } }
}";

#[derive(Debug, Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    server: Server,
    /// What to order: a product's name, and after a colon how many of it if more than one, as in `Margherita:2`. A
    /// name that has a colon itself needs its quantity: `Menu 1: Dal:1`.
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
    let order = place(&settings.server, &products, &key).await?;
    output::line(if json {
        order.to_string()
    } else {
        super::words(&order, &["id", "status"])
    })?;
    if settings.watch {
        let id = super::word(&order["id"]);
        let mut connection = Connection::new(json);
        connection.is_there();
        return super::watch::follow(&settings.server, &id, Some(1), connection, json).await;
    }
    Ok(())
}

/// Places an order of these products, more than once if need be.
pub(super) async fn place(server: &Server, products: &[Value], key: &str) -> Result<Value, Failure> {
    let variables = json!({ "input": { "products": products, "idempotencyKey": key } });
    let mut attempt = 1;
    let mut stored_nothing = true;
    loop {
        let failure = match server.run(PLACE, &variables).await {
            Ok(mut data) => return Ok(data["createOrder"].take()),
            Err(failure) => failure,
        };
        if !failure.retryable() {
            return Err(failure);
        }
        stored_nothing &= failure.had_no_effect();
        if attempt == ATTEMPTS {
            return Err(if stored_nothing {
                failure
            } else {
                doubtful(failure, key)
            });
        }
        attempt += 1;
        tokio::time::sleep(failure.retry_after().unwrap_or(PAUSE)).await;
    }
}

/// An order whose fate is unknown can be asked for again without harm.
fn doubtful(failure: Failure, key: &str) -> Failure {
    failure.hint(format!(
        "The order may have been placed. To be sure without placing it twice, repeat with --idempotency-key {key}"
    ))
}

impl FromStr for Product {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, quantity)) = text.rsplit_once(':') else {
            let (name, quantity) = (text.to_owned(), 1);
            return Ok(Self { name, quantity });
        };
        let quantity = quantity.parse().map_err(|_| {
            format!("{quantity:?} is not a quantity; a name with a colon needs one after it: '{text}:1'")
        })?;
        let name = name.to_owned();
        Ok(Self { name, quantity })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_a_name_and_perhaps_a_quantity() {
        let expect = |text: &str, name: &str, quantity| {
            let name = name.to_owned();
            assert_eq!(text.parse(), Ok(Product { name, quantity }));
        };
        expect("Dal", "Dal", 1);
        expect("Dal:3", "Dal", 3);
        expect("Menu 1: Dal:-2", "Menu 1: Dal", -2);
        expect("a:b:2", "a:b", 2);
    }

    #[test]
    fn what_follows_the_last_colon_is_a_quantity_or_a_mistake() {
        for wrong in ["Dal:x", "Dal:", "Dal:1.5", "Dal: 2", "Dal:2x", "Menu 1: Dal"] {
            let refused = wrong.parse::<Product>().unwrap_err();
            assert!(refused.contains("is not a quantity"), "{refused}");
            let meant = format!("{wrong}:1");
            assert!(
                refused.contains(&meant) && meant.parse::<Product>().is_ok(),
                "{refused}"
            );
        }
    }
}
