//! The mutations.

use async_graphql::{Context, ErrorExtensions, Object, Result};

use crate::{
    Action, CancelOrderInput, CreateOrderInput, Error, ErrorCode, NewOrder, NewProduct, Order, request,
};

/// The type of mutations.
pub struct Mutation;

/// What can be done.
#[Object]
impl Mutation {
    /// Places an order. It is answered once the order is stored for good, with status `PENDING` and version 1.
    ///
    /// Errors: `BAD_USER_INPUT`; `FORBIDDEN`; `IDEMPOTENCY_KEY_REUSED`; `OVERLOADED`, or `UNAVAILABLE` with
    /// `retryAfterMs` (nothing was stored, try again after that time); `TIMEOUT`, `TRY_AGAIN`, or `UNAVAILABLE`
    /// without it (the order may have been stored: repeat with the same `idempotencyKey`).
    async fn create_order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is ordered.")] input: CreateOrderInput,
    ) -> Result<Option<Order>> {
        create_order(ctx, input)
            .await
            .map(Some)
            .map_err(|error| error.extend())
    }

    /// Cancels an order and returns it. Cancelling it again is answered in the same way.
    ///
    /// Errors: `BAD_USER_INPUT`; `FORBIDDEN`; `NOT_FOUND`; `ORDER_NOT_CANCELLABLE` from `OUT_FOR_DELIVERY` on;
    /// `TRY_AGAIN`; `TIMEOUT` or `UNAVAILABLE` (it may have been cancelled: repeat the request or look at the order).
    async fn cancel_order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which order, and why.")] input: CancelOrderInput,
    ) -> Result<Order> {
        cancel_order(ctx, input).await.map_err(|error| error.extend())
    }
}

async fn create_order(ctx: &Context<'_>, input: CreateOrderInput) -> Result<Order, Error> {
    let caller = request::caller(ctx, Action::Create)?;
    let products = input.products.into_iter();
    let order = NewOrder {
        products: products
            .map(|product| NewProduct {
                name: product.name,
                quantity: product.quantity,
            })
            .collect(),
        idempotency_key: input.idempotency_key.map(|key| key.0),
    };
    let created = request::orders(ctx)?.create(caller, order).await?;
    if created.replayed {
        ctx.insert_http_header("idempotency-replayed", "true");
    }
    Ok(created.order.into())
}

async fn cancel_order(ctx: &Context<'_>, input: CancelOrderInput) -> Result<Order, Error> {
    let caller = request::caller(ctx, Action::Cancel)?;
    let id = request::order_id(&input.id, "input.id")?;
    if request::order_for(ctx, caller, Action::Cancel, id)
        .await?
        .is_none()
    {
        return Err(ErrorCode::NotFound.into());
    }
    Ok(request::orders(ctx)?.cancel(caller, id, input.note).await?.into())
}
