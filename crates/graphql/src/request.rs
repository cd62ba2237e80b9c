//! What every resolver needs of the request: the caller, the ports, ids that can be ids.

use async_graphql::{Context, ID};
use tiffin_order::OrderId;

use crate::{Action, Caller, Error, ErrorCode, OrderPort, OrderView, Ports, UpdatePort, authorize};

/// The caller, if their role may do this at all.
pub(crate) fn caller<'a>(ctx: &Context<'a>, action: Action) -> Result<&'a Caller, Error> {
    let caller = ctx.data_opt::<Caller>().ok_or_else(|| {
        Error::from(ErrorCode::Unauthenticated).hint("Send an API key in the header x-api-key.")
    })?;
    authorize(&caller.principal, action, None)
        .map_err(|code| Error::from(code).hint("Use the key of a role that may, such as the operator's."))?;
    Ok(caller)
}

/// The order, if there is one that the caller may do this to.
pub(crate) async fn order_for(
    ctx: &Context<'_>,
    caller: &Caller,
    action: Action,
    id: OrderId,
) -> Result<Option<OrderView>, Error> {
    let order = orders(ctx)?.order(id).await?;
    Ok(order.filter(|order| authorize(&caller.principal, action, Some(&order.details.owner)).is_ok()))
}

pub(crate) fn orders<'a>(ctx: &Context<'a>) -> Result<&'a dyn OrderPort, Error> {
    ports(ctx)?.orders.as_deref().ok_or_else(|| {
        Error::from(ErrorCode::SubscriptionsOnly).hint("Send queries and mutations by POST to /graphql.")
    })
}

pub(crate) fn updates<'a>(ctx: &Context<'a>) -> Result<&'a dyn UpdatePort, Error> {
    ports(ctx)?.updates.as_deref().ok_or_else(|| {
        Error::new(
            ErrorCode::BadUserInput,
            "This address does not answer subscriptions.",
        )
        .hint("Subscribe over WebSocket at /graphql/ws or by server-sent events at /graphql/stream.")
    })
}

fn ports<'a>(ctx: &Context<'a>) -> Result<&'a Ports, Error> {
    ctx.data_opt::<Ports>().ok_or(Error::from(ErrorCode::Internal))
}

pub(crate) fn order_id(id: &ID, field: &str) -> Result<OrderId, Error> {
    OrderId::parse(id).map_err(|invalid| Error::from(invalid).field(field))
}
