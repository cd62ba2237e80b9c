//! The subscriptions.

use async_graphql::{Context, ErrorExtensions, ID, Result, Subscription};
use futures::{Stream, StreamExt};

use crate::{Action, Error, ErrorCode, OrderUpdated, request};

/// The type of subscriptions.
pub struct Subscription;

/// What can be watched.
#[Subscription]
impl Subscription {
    /// The order's state now, then each later version exactly once and in order; completes after the last one.
    async fn on_order_updated(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order's id.")] id: ID,
        #[graphql(
            desc = "The last version that is known already: only later ones are sent, all of them (0: the whole \
                    history). A later one than the order has is answered with the current state."
        )]
        after_version: Option<i32>,
    ) -> Result<impl Stream<Item = Option<OrderUpdated>>> {
        updates(ctx, &id, after_version)
            .await
            .map_err(|error| error.extend())
    }
}

async fn updates(
    ctx: &Context<'_>,
    id: &ID,
    after: Option<i32>,
) -> Result<impl Stream<Item = Option<OrderUpdated>> + use<>, Error> {
    let caller = request::caller(ctx, Action::Watch)?;
    let id = request::order_id(id, "id")?;
    let after = after.map(u32::try_from).transpose().map_err(|_| {
        Error::new(ErrorCode::BadUserInput, "A version is never negative.")
            .hint("Send the last version you have seen, 0 for the whole history, or nothing.")
            .field("afterVersion")
    })?;
    let updates = request::updates(ctx)?.subscribe(caller, id, after).await?;
    Ok(updates.map(|update| Some(OrderUpdated::from(update))))
}
