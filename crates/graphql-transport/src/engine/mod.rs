//! The engine: a schema, behind the limits and the cache of documents.

mod compiler;
mod execute;
pub(crate) mod rules;
mod typenames;

use std::{fmt, sync::Arc};

use async_graphql::{ObjectType, Response, SchemaBuilder, SchemaEnv, ServerError, SubscriptionType, Value};
use futures::stream::BoxStream;
use prometheus_client::registry::Registry;

use crate::{
    documents::{self, Prepared},
    error::{Code, Refusal},
    reply,
    request::GraphqlRequest,
    session::Session,
    settings::Settings,
};
use compiler::Compiler;
use execute::Execute;
use rules::Rules;

/// A schema, behind the limits and the cache of documents. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    schema: Box<dyn Execute>,
    env: SchemaEnv,
    compiler: Compiler,
    settings: Settings,
}

impl Engine {
    /// Finishes the schema with what the transports need in it. Its resolvers' errors carry `extensions.code`; one
    /// without it is taken for a fault, logged and masked.
    ///
    /// # Panics
    /// If the schema cannot be asked for `{ __typename }`, which every schema can.
    pub fn new<Q, M, S>(schema: SchemaBuilder<Q, M, S>, settings: Settings) -> Self
    where
        Q: ObjectType + 'static,
        M: ObjectType + 'static,
        S: SubscriptionType + 'static,
    {
        let rules = Rules::default();
        // Guesses at what a wrong name was meant to be would tell what introspection does not.
        let schema = if settings.introspection {
            schema
        } else {
            schema.disable_suggestions()
        };
        let schema: Box<dyn Execute> = Box::new(schema.extension(rules.clone()).finish());
        let env = rules
            .environment(&*schema)
            .expect("the engine validates before it executes");
        let compiler = Compiler::new(&settings);
        Self(Arc::new(Inner {
            schema,
            env,
            compiler,
            settings,
        }))
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Adds the metrics of the cache of documents.
    pub fn register(&self, registry: &mut Registry) {
        self.0.compiler.register(registry);
    }

    /// Makes of a request an operation that may be executed.
    ///
    /// # Errors
    /// What is wrong with it, with codes; the same for a document seen before and a new one.
    pub async fn prepare(&self, request: GraphqlRequest) -> Result<Prepared, Vec<ServerError>> {
        let prepared = self.try_prepare(request).await;
        prepared.map_err(|errors| reply::finished(errors, self.settings().limits.errors))
    }

    async fn try_prepare(&self, request: GraphqlRequest) -> Result<Prepared, Vec<ServerError>> {
        let limits = &self.settings().limits;
        limits.check_variables(request.variables.len())?;
        let document = Compiler::document(self, request.query).await?;
        let prepared = documents::prepare(
            &self.0.env,
            document,
            request.operation_name.as_deref(),
            request.variables,
            limits,
        )?;
        if !self.settings().introspection && prepared.reads_schema() {
            let refusal = Refusal::new(Code::Forbidden, "Introspection is switched off.")
                .hint("Ask whoever runs this server for its schema.");
            return Err(refusal.into());
        }
        Ok(prepared)
    }

    /// Executes a query or a mutation.
    pub async fn execute(&self, operation: Prepared, session: &Session) -> Response {
        let keys = operation.root_keys();
        let request = rules::validated(operation.into_request(), session.data());
        let mut response = self.0.schema.execute(request).await;
        if let Value::Object(fields) = &mut response.data
            && !keys.is_empty()
        {
            // The engine answers in the order in which the root's fields were ready.
            fields.sort_by_cached_key(|key, _| keys.iter().position(|known| known == key));
        }
        response.errors = reply::finished(response.errors, self.settings().limits.errors);
        response
    }

    /// Executes a subscription.
    pub fn execute_stream(&self, operation: Prepared, session: &Session) -> BoxStream<'static, Response> {
        self.0
            .schema
            .execute_stream(rules::validated(operation.into_request(), session.data()))
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

/// Whether the response is a refusal from before execution, which has no `data`.
pub(crate) fn is_refusal(response: &Response) -> bool {
    response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.is_empty())
}
