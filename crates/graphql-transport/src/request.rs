//! A request as all transports send it.

use async_graphql::Variables;
use serde::Deserialize;

use crate::error::Refusal;

/// A GraphQL request before anything is known about it. Members that are not known are ignored, and so are
/// `extensions`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Wire")]
pub struct GraphqlRequest {
    /// The document.
    pub query: String,
    /// Which of the document's operations is meant.
    pub operation_name: Option<String>,
    /// The variables' values.
    pub variables: Variables,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    query: String,
    #[serde(default)]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Variables,
    /// Sent by many clients, to be an object, and not used.
    #[serde(default, rename = "extensions")]
    _extensions: Option<Members>,
}

impl From<Wire> for GraphqlRequest {
    fn from(wire: Wire) -> Self {
        Self {
            query: wire.query,
            operation_name: wire.operation_name,
            variables: wire.variables,
        }
    }
}

/// An object, whatever is in it.
struct Members;

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ignored = std::collections::HashMap::<String, serde::de::IgnoredAny>::deserialize(deserializer)?;
        drop(ignored);
        Ok(Self)
    }
}

impl GraphqlRequest {
    /// Reads a JSON body or message.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` where it is not a JSON object of a request's shape.
    pub fn from_json(json: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(json)
            .map_err(|error| Refusal::bad_input(not_a_request(json, &error)).hint(SHAPE))
    }

    /// Reads the parameters of a URL.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` where `query` is missing, or `variables` or `extensions` is not a JSON object.
    pub fn from_query(query: &str) -> Result<Self, Refusal> {
        let mut request = Self::default();
        let mut document = None;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "query" => document = Some(value.into_owned()),
                "operationName" => request.operation_name = Some(value.into_owned()),
                "variables" => request.variables = parameter("variables", &value)?,
                "extensions" => {
                    parameter::<Option<Members>>("extensions", &value)?;
                }
                _ => {}
            }
        }
        request.query =
            document.ok_or_else(|| Refusal::bad_input("The parameter query is missing.").hint(URL_SHAPE))?;
        Ok(request)
    }
}

const SHAPE: &str = r#"Send a JSON object such as {"query": "{ __typename }", "variables": {}}."#;

const URL_SHAPE: &str = "Send the document as ?query=…, or POST it as JSON.";

fn parameter<T: for<'de> Deserialize<'de>>(name: &str, json: &str) -> Result<T, Refusal> {
    serde_json::from_str(json)
        .map_err(|_| Refusal::bad_input(format!("The parameter {name} is not a JSON object.")))
}

fn not_a_request(json: &[u8], error: &serde_json::Error) -> String {
    match json.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[') => "Batches are not supported.".to_owned(),
        _ if error.is_data() => format!("The body is not a GraphQL request: {error}."),
        _ => "The body is not JSON.".to_owned(),
    }
}
