//! `tiffin order list`.

use clap::{Args, builder::PossibleValuesParser};
use serde_json::{Value, json};

use super::words;
use crate::{
    failure::Failure,
    output,
    server::{Server, Staff},
};

/// The most orders of one page.
const PAGE: usize = 100;

const STATUSES: [&str; 6] = [
    "PENDING",
    "PAID",
    "PREPARING",
    "OUT_FOR_DELIVERY",
    "DELIVERED",
    "CANCELLED",
];

const LIST: &str = "query List($filter: OrderFilter, $first: Int, $after: String) {
  orders(filter: $filter, first: $first, after: $after) {
    nodes { id status version reason createdAt updatedAt products { name quantity } }
    pageInfo { hasNextPage endCursor }
  }
}";

/// What people are shown of an order: `2030-01-31T18:30:00.000Z 019… PAID`.
const FIELDS: &[&str] = &["createdAt", "id", "status", "reason"];

#[derive(Debug, Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    staff: Staff,
    /// Only orders of these statuses, separated by commas.
    #[arg(
        long,
        value_name = "STATUS",
        value_delimiter = ',',
        ignore_case = true,
        value_parser = PossibleValuesParser::new(STATUSES)
    )]
    status: Option<Vec<String>>,
    /// Only orders placed at this time or later, such as 2026-01-31T18:30:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only orders placed before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

pub(super) async fn run(settings: Settings, json: bool) -> Result<(), Failure> {
    let server = settings.staff.server();
    let status = settings.status.map(|statuses| {
        let upper = statuses.iter().map(|status| status.to_uppercase());
        upper.collect::<Vec<_>>()
    });
    let filter = json!({ "status": status, "createdFrom": settings.from, "createdTo": settings.to });
    let mut missing = settings.limit as usize;
    let mut after = Value::Null;
    while missing > 0 {
        let page = page(&server, &filter, missing.min(PAGE), &after).await?;
        let orders = page["nodes"].as_array().map_or(&[][..], Vec::as_slice);
        for order in orders {
            output::line(if json {
                order.to_string()
            } else {
                words(order, FIELDS)
            })?;
        }
        missing -= orders.len().min(missing);
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] != true || after.is_null() {
            break;
        }
    }
    Ok(())
}

async fn page(server: &Server, filter: &Value, first: usize, after: &Value) -> Result<Value, Failure> {
    let variables = json!({ "filter": filter, "first": first, "after": after });
    let mut data = server.run(LIST, &variables).await?;
    Ok(data["orders"].take())
}
