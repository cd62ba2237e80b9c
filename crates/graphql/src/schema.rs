//! The one schema, the same in every service, and its text.

use async_graphql::{SDLExportOptions, Schema, SchemaBuilder};

use crate::{Ports, mutation::Mutation, query::Query, subscription::Subscription};

/// Tiffin's schema.
pub type TiffinSchema = Schema<Query, Mutation, Subscription>;

/// The schema while a service still adds to it what its transport needs.
pub type TiffinSchemaBuilder = SchemaBuilder<Query, Mutation, Subscription>;

/// Begins the schema over these ports.
pub fn builder(ports: Ports) -> TiffinSchemaBuilder {
    Schema::build(Query, Mutation, Subscription).data(ports)
}

/// The schema over these ports.
pub fn schema(ports: Ports) -> TiffinSchema {
    builder(ports).finish()
}

/// The schema's text, `schema.graphql`: types, fields and arguments sorted, an enumeration's values in their own
/// order.
pub fn sdl() -> String {
    let options = SDLExportOptions::new()
        .sorted_fields()
        .sorted_arguments()
        .include_specified_by()
        .use_space_ident();
    let text = schema(Ports::default()).sdl_with_options(options);
    let lines: Vec<&str> = text.trim().lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}
