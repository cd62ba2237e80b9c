//! The queries.

use async_graphql::{Context, ErrorExtensions, ID, Object, Result};

use crate::{Action, Error, Order, OrderConnection, OrderFilter, Page, list, request};

/// The type of queries.
pub struct Query;

/// What can be asked for.
#[Object]
impl Query {
    /// The order with this id as it is now; null if there is none, or if it is somebody else's. Whoever placed or
    /// cancelled an order sees that here at once.
    async fn order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order's id, as createOrder returned it.")] id: ID,
    ) -> Result<Option<Order>> {
        order(ctx, &id).await.map_err(|error| error.extend())
    }

    /// All orders, newest first, page by page. The list may lag behind what was placed or changed, usually by less than
    /// a second; an order by its id never does. An order keeps its place whatever happens to it and to others, so that
    /// whoever leafs through the pages sees none twice, and misses none that belonged to the list all the time.
    ///
    /// For staff. Errors: `FORBIDDEN`; `BAD_USER_INPUT`.
    #[expect(clippy::too_many_arguments, reason = "Relay wants four for a page")]
    async fn orders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which orders; all, if it is left out.")] filter: Option<OrderFilter>,
        #[graphql(desc = "At most so many from the beginning: 1 to 100. Without first and last: 20.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many from the end: 1 to 100. Not together with first.")] last: Option<
            i32,
        >,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<OrderConnection> {
        let page = Page::parse(first, after.as_deref(), last, before.as_deref());
        list::orders(ctx, filter.unwrap_or_default(), page)
            .await
            .map_err(|error| error.extend())
    }
}

async fn order(ctx: &Context<'_>, id: &ID) -> Result<Option<Order>, Error> {
    let caller = request::caller(ctx, Action::Read)?;
    let id = request::order_id(id, "id")?;
    Ok(request::order_for(ctx, caller, Action::Read, id)
        .await?
        .map(Order::from))
}
