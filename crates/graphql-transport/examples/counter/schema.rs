//! A schema about nothing in particular, with something of everything that transports care about.
#![expect(clippy::unused_async, reason = "the engine wants its resolvers async")]

use std::sync::{
    Arc,
    atomic::{AtomicI32, Ordering::SeqCst},
};

use async_graphql::{
    Context, Enum, ErrorExtensions, ID, InputObject, Object, Schema, SchemaBuilder, SimpleObject,
    Subscription,
};
use futures::{Stream, StreamExt, stream};

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) String);

pub(crate) type Counter = SchemaBuilder<Query, Mutation, Count>;

pub(crate) fn builder() -> Counter {
    Schema::build(Query, Mutation, Count).data(Arc::new(AtomicI32::new(0)))
}

#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum Colour {
    Red,
    Green,
}

#[derive(InputObject)]
pub(crate) struct EchoInput {
    text: String,
    #[graphql(default = 1)]
    times: i32,
    colour: Option<Colour>,
    notes: Option<Vec<Note>>,
}

#[derive(InputObject)]
pub(crate) struct Note {
    text: String,
}

#[derive(SimpleObject)]
pub(crate) struct Echo {
    text: String,
    colour: Option<Colour>,
}

pub(crate) struct Node;

#[Object]
impl Node {
    async fn node(&self) -> Node {
        Node
    }

    async fn leaf(&self) -> i32 {
        1
    }
}

pub(crate) struct Query;

#[Object]
impl Query {
    /// How often it was added to.
    async fn counter(&self, ctx: &Context<'_>) -> i32 {
        ctx.data_unchecked::<Arc<AtomicI32>>().load(SeqCst)
    }

    async fn caller(&self, ctx: &Context<'_>) -> Option<String> {
        ctx.data_opt::<Caller>().map(|caller| caller.0.clone())
    }

    async fn echo(&self, input: EchoInput) -> Echo {
        let notes = input.notes.unwrap_or_default();
        let texts = (0..input.times)
            .map(|_| input.text.clone())
            .chain(notes.into_iter().map(|note| note.text));
        Echo {
            text: texts.collect::<Vec<_>>().join(" "),
            colour: input.colour,
        }
    }

    async fn node(&self) -> Node {
        Node
    }

    async fn fault(&self) -> async_graphql::Result<i32> {
        Err("the password is swordfish".into())
    }

    /// Panics where `text` is no number.
    async fn number(&self, text: String) -> i32 {
        text.parse().expect("the password is swordfish")
    }

    async fn same(&self, id: ID) -> ID {
        id
    }

    async fn busy(&self) -> async_graphql::Result<Option<i32>> {
        Err(
            async_graphql::Error::new("Too much to do.").extend_with(|_, extensions| {
                extensions.set("code", "OVERLOADED");
                extensions.set("retryAfterMs", 1_500);
            }),
        )
    }

    /// Something is away; with `again` it is known that nothing was done.
    async fn away(&self, again: bool) -> async_graphql::Result<Option<i32>> {
        Err(
            async_graphql::Error::new("Nobody is there.").extend_with(|_, extensions| {
                extensions.set("code", "UNAVAILABLE");
                if again {
                    extensions.set("retryAfterMs", 1_500);
                }
            }),
        )
    }

    /// Is not there at once.
    async fn later(&self) -> i32 {
        tokio::task::yield_now().await;
        1
    }

    async fn never(&self) -> i32 {
        std::future::pending().await
    }
}

pub(crate) struct Mutation;

#[Object]
impl Mutation {
    async fn add(&self, ctx: &Context<'_>, by: i32) -> i32 {
        ctx.insert_http_header("idempotency-replayed", "true");
        ctx.data_unchecked::<Arc<AtomicI32>>().fetch_add(by, SeqCst) + by
    }
}

pub(crate) struct Count;

#[Subscription]
impl Count {
    /// Counts from 1.
    async fn count(&self, to: i32) -> async_graphql::Result<impl Stream<Item = i32> + use<>> {
        if to < 0 {
            return Err(async_graphql::Error::new("There is nothing below zero.")
                .extend_with(|_, extensions| extensions.set("code", "BAD_USER_INPUT")));
        }
        Ok(stream::iter(1..=to))
    }

    /// Says `first`, and then nothing more.
    async fn wait(&self, first: i32) -> impl Stream<Item = i32> + use<> {
        stream::iter([first]).chain(stream::pending())
    }
}
