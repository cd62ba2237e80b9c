//! The list of orders: what can be asked of it, and how it is answered, page by page.

mod cursor;
mod page;

use async_graphql::{ComplexObject, Context, InputObject, SimpleObject};
use tiffin_order::Status;

pub use cursor::Cursor;
pub use page::Page;

use crate::{Action, AwsDateTime, Error, ErrorCode, Listed, Listing, Order, OrderStatus, request};

/// Which orders a list has. What is left out does not restrict it.
#[derive(InputObject, Clone, Debug, Default)]
pub struct OrderFilter {
    /// Only those that have one of these statuses.
    pub status: Option<Vec<OrderStatus>>,
    /// Only those placed at this time or later.
    pub created_from: Option<AwsDateTime>,
    /// Only those placed before this time, so that what begins here leaves out what ended here.
    pub created_to: Option<AwsDateTime>,
}

/// A page of orders.
#[derive(SimpleObject, Clone, Debug)]
#[graphql(complex)]
pub struct OrderConnection {
    /// The orders, each with its cursor.
    pub edges: Vec<OrderEdge>,
    /// What lies on either side.
    pub page_info: PageInfo,
}

#[ComplexObject]
impl OrderConnection {
    /// The orders alone.
    async fn nodes(&self) -> Vec<&Order> {
        self.edges.iter().map(|edge| &edge.node).collect()
    }
}

/// An order's place in a list.
#[derive(SimpleObject, Clone, Debug)]
pub struct OrderEdge {
    /// The place, for `after` and `before`. It stays the same however the order changes.
    pub cursor: String,
    /// The order.
    pub node: Order,
}

/// What lies on either side of a page.
#[derive(SimpleObject, Clone, Debug)]
pub struct PageInfo {
    /// Whether anything follows.
    pub has_next_page: bool,
    /// Whether anything precedes.
    pub has_previous_page: bool,
    /// Where the page begins; null if nothing lies in it.
    pub start_cursor: Option<String>,
    /// Where the page ends; null if nothing lies in it.
    pub end_cursor: Option<String>,
}

pub(crate) async fn orders(
    ctx: &Context<'_>,
    filter: OrderFilter,
    page: Result<Page, Error>,
) -> Result<OrderConnection, Error> {
    request::caller(ctx, Action::List)?;
    let asked = ctx.look_ahead();
    let nodes = [asked.field("nodes"), asked.field("edges").field("node")];
    let listing = Listing {
        statuses: statuses(filter.status)?,
        created_from: filter.created_from.map(|at| at.0),
        created_to: filter.created_to.map(|at| at.0),
        page: page?,
        timelines: nodes.iter().any(|node| node.field("timeline").exists()),
    };
    if let (Some(from), Some(to)) = (listing.created_from, listing.created_to)
        && from > to
    {
        return Err(bad("createdFrom is later than createdTo.", "filter.createdFrom")
            .hint("Exchange the two, or leave one out."));
    }
    Ok(request::orders(ctx)?.list(&listing).await?.into())
}

fn statuses(wanted: Option<Vec<OrderStatus>>) -> Result<Vec<Status>, Error> {
    let Some(wanted) = wanted else {
        return Ok(Vec::new());
    };
    let all = Status::ALL.into_iter();
    let statuses: Vec<_> = all.filter(|status| wanted.contains(&(*status).into())).collect();
    if statuses.is_empty() {
        return Err(
            bad("No status is named.", "filter.status").hint("Name at least one, or leave the list out.")
        );
    }
    Ok(statuses)
}

fn bad(message: &'static str, field: &str) -> Error {
    Error::new(ErrorCode::BadUserInput, message).field(field)
}

impl From<Listed> for OrderConnection {
    fn from(listed: Listed) -> Self {
        let edge = |(cursor, order): (Cursor, _)| OrderEdge {
            cursor: cursor.to_string(),
            node: Order::from(order),
        };
        let edges = listed.orders.into_iter().map(edge).collect();
        Self {
            page_info: PageInfo {
                has_next_page: listed.has_next,
                has_previous_page: listed.has_previous,
                start_cursor: listed.ends.map(|(first, _)| first.to_string()),
                end_cursor: listed.ends.map(|(_, last)| last.to_string()),
            },
            edges,
        }
    }
}
