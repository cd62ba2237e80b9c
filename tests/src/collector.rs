//! A collector of spans: what an exporter sends is kept, and shown as the trees that it makes.

use std::{
    fmt::Write,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message;
use tokio::{net::TcpListener, task::JoinHandle};

/// A span as it was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// The name of the service that made it.
    pub service: String,
    /// What it says.
    pub span: Span,
}

/// A running collector, until it is dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    spans: Spans,
    serving: JoinHandle<()>,
}

type Spans = Arc<Mutex<Vec<Received>>>;

impl Collector {
    /// Begins to listen at an address such as `127.0.0.1:0`.
    pub async fn start(address: &str) -> Result<Self> {
        Self::on(TcpListener::bind(address).await?)
    }

    /// Serves what comes in there.
    pub fn on(listener: TcpListener) -> Result<Self> {
        let address = listener.local_addr()?;
        let spans = Spans::default();
        let router = Router::new()
            .route("/v1/traces", post(receive))
            .with_state(Arc::clone(&spans));
        let serving = tokio::spawn(async move {
            // Ends with the test.
            axum::serve(listener, router).await.ok();
        });
        Ok(Self {
            address,
            spans,
            serving,
        })
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is to be.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans of all traces.
    pub fn all(&self) -> Vec<Received> {
        known(&self.spans).clone()
    }

    /// The spans of one trace, by their beginning.
    pub fn trace(&self, id: &str) -> Vec<Received> {
        let mut spans = self.all();
        spans.retain(|received| hex(&received.span.trace_id) == id);
        spans.sort_by_key(|received| received.span.start_time_unix_nano);
        spans
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Received {
    /// An attribute as text.
    pub fn attribute(&self, key: &str) -> Option<String> {
        let found = self
            .span
            .attributes
            .iter()
            .find(|attribute| attribute.key == key)?;
        text(found)
    }

    /// The line that stands for it in a tree.
    fn line(&self) -> String {
        let service = self.service.strip_prefix("tiffin-").unwrap_or(&self.service);
        format!("{service}: {}", self.span.name)
    }
}

/// The spans below `parent`, each on a line, indented under the one that it is under.
pub fn tree(spans: &[Received], parent: &[u8]) -> String {
    let mut text = String::new();
    grow(spans, parent, 0, &mut text);
    text
}

fn grow(spans: &[Received], parent: &[u8], depth: usize, text: &mut String) {
    for child in spans.iter().filter(|child| child.span.parent_span_id == parent) {
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "{:depth$}{}", "", child.line());
        grow(spans, &child.span.span_id, depth + 1, text);
    }
}

/// An id as W3C writes it.
pub fn hex(id: &[u8]) -> String {
    id.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

async fn receive(State(spans): State<Spans>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    for resource in request.resource_spans {
        let attributes = resource.resource.map(|resource| resource.attributes);
        let name = attributes.iter().flatten().find(|it| it.key == "service.name");
        let service = name.and_then(text).unwrap_or_default();
        let received = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        known(&spans).extend(received.map(|span| Received {
            service: service.clone(),
            span,
        }));
    }
    StatusCode::OK
}

fn text(attribute: &KeyValue) -> Option<String> {
    let AnyValue { value } = attribute.value.as_ref()?;
    match value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

fn known(spans: &Spans) -> MutexGuard<'_, Vec<Received>> {
    spans.lock().unwrap_or_else(PoisonError::into_inner)
}
