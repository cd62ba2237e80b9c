//! A request as all transports send it.

use async_graphql::Variables;
use serde::Deserialize;
use serde_json::Value;

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
        // An array would be read as the members in their order.
        let object = json.trim_ascii_start().starts_with(b"{");
        let request = object.then(|| serde_json::from_slice(json).ok()).flatten();
        request.ok_or_else(|| Refusal::bad_input(not_a_request(json)).hint(SHAPE))
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
    serde_json::from_str(json).map_err(|_| {
        Refusal::bad_input(format!("The parameter {name} is not a JSON object.")).hint(format!(
            r#"Send it as a JSON object, such as {name}={{"a": 1}}, encoded for a URL."#
        ))
    })
}

/// Why `json` could not be read, in words for who sent it. It is read again, which costs only those who are refused.
fn not_a_request(json: &[u8]) -> &'static str {
    let object_or_null = |value: Option<&Value>| value.is_none_or(|it| it.is_object() || it.is_null());
    let text_or_null = |value: Option<&Value>| value.is_none_or(|it| it.is_string() || it.is_null());
    match serde_json::from_slice(json) {
        Err(_) => "The body is not JSON.",
        Ok(Value::Array(_)) => "Batches are not supported.",
        Ok(Value::Object(members)) => match members.get("query") {
            None => "The member query is missing.",
            Some(query) if !query.is_string() => "The member query is not a string.",
            _ if !text_or_null(members.get("operationName")) => "The member operationName is not a string.",
            _ if !object_or_null(members.get("variables")) => "The member variables is not a JSON object.",
            _ if !object_or_null(members.get("extensions")) => "The member extensions is not a JSON object.",
            _ => "A member stands twice.",
        },
        Ok(_) => "The body is not a JSON object.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> String {
        GraphqlRequest::from_json(json.as_bytes())
            .unwrap_err()
            .message
            .into_owned()
    }

    #[test]
    fn what_is_no_request_is_told_in_words_for_who_sent_it() {
        for (json, told) in [
            ("{", "The body is not JSON."),
            ("[{", "The body is not JSON."),
            (r#"["{a}"]"#, "Batches are not supported."),
            ("null", "The body is not a JSON object."),
            (r#""x""#, "The body is not a JSON object."),
            ("{}", "The member query is missing."),
            (r#"{"query":1}"#, "The member query is not a string."),
            (
                r#"{"query":"","operationName":1}"#,
                "The member operationName is not a string.",
            ),
            (
                r#"{"query":"","variables":[]}"#,
                "The member variables is not a JSON object.",
            ),
            (
                r#"{"query":"","extensions":"x"}"#,
                "The member extensions is not a JSON object.",
            ),
            (r#"{"query":"","query":""}"#, "A member stands twice."),
        ] {
            assert_eq!(refusal(json), told, "{json}");
        }
        let refused = GraphqlRequest::from_query("query=a&variables=[]").unwrap_err();
        assert_eq!(refused.message, "The parameter variables is not a JSON object.");
    }

    #[test]
    fn members_that_are_null_are_as_good_as_absent() {
        let json = br#"{"query":"{a}","operationName":null,"variables":null,"extensions":null}"#;
        let request = GraphqlRequest::from_json(json).unwrap();
        assert_eq!((request.query.as_str(), request.operation_name), ("{a}", None));
    }
}
