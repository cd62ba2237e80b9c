//! Tiffin's GraphQL contract: its types, who may use them, its error codes, and the ports that a service fills.

mod authorize;
mod error;
mod list;
mod mutation;
mod ports;
mod principal;
mod query;
mod request;
mod scalar;
mod schema;
mod subscription;
mod types;

pub use authorize::{Action, authorize};
pub use error::{Error, ErrorCode, NotAnErrorCode};
pub use list::{Cursor, OrderConnection, OrderEdge, OrderFilter, Page, PageInfo};
pub use ports::{
    Created, Listed, Listing, NewOrder, NewProduct, OrderPort, OrderView, Ports, Update, UpdatePort,
};
pub use principal::{Caller, NoPrincipal, Principal, Role, UnknownRole};
pub use scalar::AwsDateTime;
pub use schema::{TiffinSchema, TiffinSchemaBuilder, builder, schema, sdl};
pub use types::{
    CancelOrderInput, CreateOrderInput, Order, OrderChange, OrderStatus, OrderUpdated, Product, ProductInput,
};
