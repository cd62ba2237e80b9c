//! The queries.

use async_graphql::{Context, ErrorExtensions, ID, Object, Result};

use crate::{Action, Error, Order, request};

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
}

async fn order(ctx: &Context<'_>, id: &ID) -> Result<Option<Order>, Error> {
    let caller = request::caller(ctx, Action::Read)?;
    let id = request::order_id(id, "id")?;
    Ok(request::order_for(ctx, caller, Action::Read, id)
        .await?
        .map(Order::from))
}
