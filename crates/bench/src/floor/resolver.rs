//! The HTTP and GraphQL stack of `api` over a resolver that does nothing: `tiffin-bench` started with
//! `--answer-nothing PORT`.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use anyhow::Result;
use async_trait::async_trait;
use axum::http::HeaderMap;
use tiffin_graphql::{
    Caller, Created, Error, ErrorCode, Listed, Listing, NewOrder, OrderPort, OrderView, Ports, Principal,
    Role,
};
use tiffin_graphql_transport::{Authenticate, Code, Engine, Refusal, Session, Settings, Transport};
use tiffin_order::{Details, OrderId, Owner, Products, Status, Version};
use tiffin_runtime::{HttpServer, HttpSettings, Lifecycle};
use time::OffsetDateTime;
use uuid::Uuid;

/// How the process is told to be this server.
pub(crate) const ARGUMENT: &str = "--answer-nothing";

/// Answers each order as soon as `until` lets it, until the process is killed.
///
/// # Errors
/// The port is in use.
pub(crate) async fn serve<F, W>(port: u16, until: F) -> Result<()>
where
    F: Fn() -> W + Send + Sync + 'static,
    W: Future<Output = Result<(), Error>> + Send + 'static,
{
    let settings = HttpSettings {
        listen: (Ipv4Addr::LOCALHOST, port).into(),
        max_connections: 20_000,
        tls_cert: None,
        tls_key: None,
    };
    let ports = Ports {
        orders: Some(Arc::new(Resolver(until))),
        updates: None,
    };
    let lifecycle = Lifecycle::new(Duration::ZERO);
    let engine = Engine::new(tiffin_graphql::builder(ports), Settings::default());
    let (tracker, stop) = (lifecycle.tracker.clone(), lifecycle.soft.clone());
    let transport = Transport::new(engine, Arc::new(Anybody), tracker, stop);
    HttpServer::bind(&settings)?.serve(transport.http(), &lifecycle);
    lifecycle.finished().await;
    Ok(())
}

/// Whoever asks may.
struct Anybody;

#[async_trait]
impl Authenticate for Anybody {
    async fn authenticate(&self, _headers: &HeaderMap) -> Result<Session, Refusal> {
        let owner = Owner::parse("anybody").map_err(|_| Refusal::new(Code::Internal, "No owner."))?;
        let caller = Caller {
            principal: Principal {
                owner,
                role: Role::Customer,
            },
            trace: None,
        };
        Ok(Session::new(caller))
    }
}

/// Says that an order was placed, once it may.
struct Resolver<F>(F);

#[async_trait]
impl<F, W> OrderPort for Resolver<F>
where
    F: Fn() -> W + Send + Sync,
    W: Future<Output = Result<(), Error>> + Send + 'static,
{
    async fn create(&self, caller: &Caller, order: NewOrder) -> Result<Created, Error> {
        (self.0)().await?;
        let lines = order
            .products
            .iter()
            .map(|line| (&line.name, i64::from(line.quantity)));
        let details = Details {
            owner: caller.principal.owner.clone(),
            products: Products::parse(lines)?,
            status: Status::Pending,
            version: Version::FIRST,
            reason: None,
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
        };
        let order = OrderView {
            id: OrderId::new(Uuid::now_v7()),
            details,
            timeline: Vec::new(),
        };
        Ok(Created {
            order,
            replayed: false,
        })
    }

    async fn cancel(&self, _: &Caller, _: OrderId, _: Option<String>) -> Result<OrderView, Error> {
        Err(ErrorCode::NotFound.into())
    }

    async fn order(&self, _: OrderId) -> Result<Option<OrderView>, Error> {
        Ok(None)
    }

    async fn list(&self, _: &Listing) -> Result<Listed, Error> {
        Err(ErrorCode::Unavailable.into())
    }
}
