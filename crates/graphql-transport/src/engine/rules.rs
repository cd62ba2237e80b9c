//! The schema's static rules: run once for a document, and never again when it is executed.
//!
//! The engine validates within execution, and only there, so this is an extension that either answers for a
//! document known to be valid, or lets the rules run and stops before execution.

use std::sync::{Arc, OnceLock};

use async_graphql::{
    CacheControl, Data, Request, SchemaEnv, ServerError, ValidationResult,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation},
    parser::types::ExecutableDocument,
};
use async_trait::async_trait;
use futures::FutureExt;

use super::{execute::Execute, typenames::brought_to_light};

/// Judges a document by the schema's static rules.
pub(crate) trait StaticRules {
    fn check(&self, document: &ExecutableDocument) -> Result<(), Vec<ServerError>>;
}

impl StaticRules for dyn Execute {
    fn check(&self, document: &ExecutableDocument) -> Result<(), Vec<ServerError>> {
        let mut request = Request::new("");
        // No variables: only what holds for every request is judged here.
        request.set_parsed_query(brought_to_light(document.clone()));
        let response = self.execute(request).now_or_never().ok_or_else(Vec::new)?;
        if response.errors.is_empty() {
            Ok(())
        } else {
            Err(response.errors)
        }
    }
}

/// In a request's data: its document passed the rules before.
struct Validated;

/// Marks a request whose document passed the rules.
pub(super) fn validated(request: Request, session: Data) -> Request {
    let mut request = request;
    request.data = session;
    request.data(Validated)
}

/// The extension; it also brings to light the schema's types, which the engine shows to extensions alone.
#[derive(Clone, Default)]
pub(super) struct Rules(Arc<OnceLock<SchemaEnv>>);

impl Rules {
    pub(super) fn environment(&self, schema: &dyn Execute) -> Option<SchemaEnv> {
        schema.execute(Request::new("{ __typename }")).now_or_never()?;
        self.0.get().cloned()
    }
}

impl ExtensionFactory for Rules {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(self.clone())
    }
}

#[async_trait]
impl Extension for Rules {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        if ctx.data_opt::<Validated>().is_some() {
            return Ok(ValidationResult {
                cache_control: CacheControl::default(),
                complexity: 0,
                depth: 0,
            });
        }
        self.0.get_or_init(|| ctx.schema_env.clone());
        next.run(ctx).await?;
        // No error, and no result: nothing is executed.
        Err(Vec::new())
    }
}
