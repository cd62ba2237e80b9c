//! Sends spans to an OpenTelemetry collector, by OTLP over HTTP, where the environment names one.

use std::{
    env,
    time::{Duration, Instant},
};

use opentelemetry_otlp::{
    OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, Protocol, SpanExporter, WithExportConfig,
};
use opentelemetry_sdk::{Resource, trace::SpanExporter as _};
use tiffin_trace::{SpanData, Spans, Tracer};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::Error;

/// Ended spans that wait to be sent; more are lost.
const WAITING: usize = 4096;
/// Spans sent at a time.
const BATCH: usize = 512;
/// How long the first span of a batch waits for others.
const GATHERING: Duration = Duration::from_secs(1);
/// How often at most it is told that more spans end than can be sent.
const TELLING: Duration = Duration::from_mins(1);
/// How long a stop may take for the last spans.
const LAST_BATCHES: Duration = Duration::from_secs(2);

/// What is asked for the service's name before a service gives its own.
const NAMES: [&str; 2] = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"];

/// Makes the tracers of a process.
#[derive(Clone, Debug)]
pub struct Traces {
    ratio: f64,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Traces {
    /// Tracers that sample this share of new traces, from 0 to 1.
    pub fn new(ratio: f64) -> Self {
        Self {
            ratio,
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// The tracer of one service; `service` is its name where the environment gives it none. It records only where
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, or the same for traces alone, says to where.
    ///
    /// # Errors
    /// An endpoint that is no plain URL of HTTP.
    pub fn tracer(&self, service: &'static str) -> Result<Tracer, Error> {
        let Some((variable, endpoint)) = endpoint() else {
            return Ok(Tracer::silent(self.ratio));
        };
        if !endpoint.starts_with("http://") {
            let advice = "name a collector that takes OTLP over plain HTTP, such as http://localhost:4318";
            return Err(Error::setting(variable, advice));
        }
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .build()
            .map_err(|error| Error::setting(variable, error))?;
        exporter.set_resource(&resource(service));
        let (tracer, spans) = Tracer::recording(self.ratio, WAITING);
        let export = Export {
            exporter,
            spans,
            complaint: Complaint::default(),
        };
        self.tracker.spawn(export.run(self.stop.clone()));
        Ok(tracer)
    }

    /// Sends what is left, for a moment; for when all that made spans has ended.
    pub async fn finish(&self) {
        self.stop.cancel();
        self.tracker.close();
        if timeout(LAST_BATCHES, self.tracker.wait()).await.is_err() {
            tracing::warn!("the last spans were not taken in time");
        }
    }
}

fn endpoint() -> Option<(&'static str, String)> {
    [OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT]
        .into_iter()
        .filter_map(|variable| Some((variable, env::var(variable).ok()?)))
        .find(|(_, value)| !value.is_empty())
}

/// Who makes the spans, as the environment says, else as the service does.
fn resource(service: &'static str) -> Resource {
    let named = NAMES.iter().any(|variable| {
        let value = env::var(variable).unwrap_or_default();
        !value.is_empty() && (*variable == NAMES[0] || value.contains("service.name="))
    });
    let resource = Resource::builder();
    if named {
        resource.build()
    } else {
        resource.with_service_name(service).build()
    }
}

/// The one task that sends; who makes spans never waits for it.
struct Export {
    exporter: SpanExporter,
    spans: Spans,
    complaint: Complaint,
}

impl Export {
    async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        while stop.run_until_cancelled(self.gather(&mut batch)).await.is_some() {
            if batch.is_empty() {
                return;
            }
            self.send(&mut batch).await;
        }
        loop {
            self.spans.take_ready(&mut batch, BATCH);
            if batch.is_empty() {
                return;
            }
            self.send(&mut batch).await;
        }
    }

    /// Waits for a first span, and for a moment for as many as are sent at a time; none when every tracer is gone.
    async fn gather(&mut self, batch: &mut Vec<SpanData>) {
        self.spans.take(batch, BATCH).await;
        let others =
            async { while batch.len() < BATCH && self.spans.take(batch, BATCH - batch.len()).await > 0 {} };
        // Fewer are sent as well.
        let _full = timeout(GATHERING, others).await;
    }

    /// What a collector does not take is lost: it is only told of, and nothing waits for it.
    async fn send(&mut self, batch: &mut Vec<SpanData>) {
        let count = batch.len() as u64;
        let sent = self.exporter.export(std::mem::take(batch)).await;
        let lost = self.spans.lost();
        match sent {
            Ok(()) => self.complaint.taken(lost),
            Err(error) => self.complaint.refused(&error, lost + count),
        }
    }
}

/// What is wrong with the collector, told once until all is well again.
#[derive(Default)]
struct Complaint {
    failing: bool,
    /// Spans that were lost and not told of.
    lost: u64,
    /// When it was told that there were too many.
    told: Option<Instant>,
}

impl Complaint {
    fn refused(&mut self, error: &dyn std::fmt::Display, lost: u64) {
        self.lost += lost;
        if !self.failing {
            tracing::warn!(%error, "spans are lost until the collector takes them");
        }
        self.failing = true;
    }

    fn taken(&mut self, lost: u64) {
        self.lost += lost;
        if self.failing {
            tracing::info!(lost = self.lost, "the collector takes spans again");
            *self = Self::default();
        } else if self.lost > 0 && self.told.is_none_or(|told| told.elapsed() >= TELLING) {
            tracing::warn!(lost = self.lost, "spans were lost: more ended than could be sent");
            (self.lost, self.told) = (0, Some(Instant::now()));
        }
    }
}
