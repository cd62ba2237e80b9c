//! Makes streams and consumers be there as specified: idempotently, never destructively, never downgrading.

use std::cmp::Ordering;

use async_nats::jetstream::{
    Context, ErrorCode,
    consumer::{Consumer, pull},
    context::{
        ConsumerInfoError, ConsumerInfoErrorKind, CreateStreamError, CreateStreamErrorKind, GetStreamError,
        GetStreamErrorKind, RequestError,
    },
    stream::{Config, ConsumerError, ConsumerErrorKind, Stream},
};
use tracing::{info, warn};

use crate::spec::{ConsumerSpec, StreamSpec, version_of};

/// Why a stream or a consumer could not be ensured; tried again later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnsureError {
    /// The stream could not be read.
    #[error("cannot read the stream: {0}")]
    Stream(#[from] GetStreamError),
    /// The stream could not be created or updated.
    #[error("cannot create the stream: {0}")]
    Create(#[from] CreateStreamError),
    /// The consumer could not be created or updated.
    #[error("cannot create the consumer: {0}")]
    Consumer(#[from] ConsumerError),
    /// The consumer could not be read.
    #[error("cannot read the consumer: {0}")]
    Unread(#[source] async_nats::Error),
    /// JetStream did not answer.
    #[error("cannot ask JetStream: {0}")]
    Request(#[from] RequestError),
}

impl EnsureError {
    /// Whether there is no such stream yet, or no longer: whoever writes it makes it.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, EnsureError::Consumer(error) if matches!(error.kind(), ConsumerErrorKind::JetStream(error)
            if error.error_code() == ErrorCode::STREAM_NOT_FOUND))
    }
}

/// The stream with its present state, created or brought up to `spec` if need be.
pub(crate) async fn stream(context: &Context, spec: &StreamSpec) -> Result<Stream, EnsureError> {
    configured(context, spec, spec.config()).await
}

/// The same, with a configuration that is not quite the usual one of `spec`.
pub(crate) async fn configured(
    context: &Context,
    spec: &StreamSpec,
    config: Config,
) -> Result<Stream, EnsureError> {
    let found = match context.get_stream(spec.name).await {
        Ok(found) => found,
        Err(error) if is_absent(&error) => match context.create_stream(&config).await {
            Ok(stream) => {
                info!(stream = spec.name, "stream created");
                return Ok(stream);
            }
            // Another replica was quicker.
            Err(error) if is_taken(&error) => context.get_stream(spec.name).await?,
            Err(error) => return Err(error.into()),
        },
        Err(error) => return Err(error.into()),
    };
    bring_up(context, &found.cached_info().config, spec, config).await;
    Ok(found)
}

/// Brings a stream that is there up to the version and the replicas of `spec`. Replicas are a setting and of no version; they
/// are never taken away, and what else was set by hand stays as long as the version does.
async fn bring_up(context: &Context, present: &Config, spec: &StreamSpec, config: Config) {
    let stream = spec.name;
    let theirs = version_of(&present.metadata);
    let replicas = spec.replicas.max(present.num_replicas);
    let mut wanted = match theirs.cmp(&spec.version) {
        Ordering::Less => config,
        Ordering::Equal if replicas > present.num_replicas => present.clone(),
        Ordering::Equal => return,
        Ordering::Greater => {
            let version = theirs;
            info!(
                stream,
                version, "a newer release configured the stream; left as it is"
            );
            return;
        }
    };
    let spec = StreamSpec {
        replicas,
        ..spec.clone()
    };
    wanted.num_replicas = replicas;
    wanted.metadata.extend(spec.metadata());
    match context.update_stream(&wanted).await {
        Ok(_) => info!(
            stream,
            version = spec.version,
            replicas,
            "stream configuration updated"
        ),
        Err(error) => warn!(stream, %error, "stream configuration kept: it cannot be updated"),
    }
}

/// Makes a stream take batches, also one that somebody made or changed by hand; it keeps the rest of its configuration.
pub(crate) async fn batches(context: &Context, stream: &Stream) -> Result<(), EnsureError> {
    if stream.cached_info().config.allow_batch_publish {
        return Ok(());
    }
    // What is cached may be from before an update.
    let found = stream.get_info().await?.config;
    if !found.allow_batch_publish {
        warn!(stream = found.name, "the stream takes no batches, and is made to");
        let config = Config {
            allow_batch_publish: true,
            ..found
        };
        context.update_stream(config).await?;
    }
    Ok(())
}

/// The durable consumer, created or brought up to `spec` if need be; its stream must be there.
pub(crate) async fn consumer(
    context: &Context,
    spec: &ConsumerSpec,
) -> Result<Consumer<pull::Config>, EnsureError> {
    let stream = context.get_stream_no_info(spec.stream).await?;
    let found = match stream.get_consumer::<pull::Config>(spec.durable).await {
        Ok(found) => found,
        Err(error) if is_missing(&error) => {
            return Ok(context
                .create_consumer_on_stream(spec.config(), spec.stream)
                .await?);
        }
        // Not creating what may be there: a newer release may have configured it.
        Err(error) => return Err(EnsureError::Unread(error)),
    };
    if version_of(&found.cached_info().config.metadata) >= spec.version {
        return Ok(found);
    }
    match context
        .create_consumer_on_stream(spec.config(), spec.stream)
        .await
    {
        Ok(updated) => Ok(updated),
        Err(error) => {
            warn!(consumer = spec.durable, %error, "consumer configuration kept: it cannot be updated");
            Ok(found)
        }
    }
}

fn is_absent(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// Whether there is no such consumer, or no such stream, as making the consumer tells.
fn is_missing(error: &async_nats::Error) -> bool {
    error.downcast_ref::<ConsumerInfoError>().is_some_and(|error| {
        matches!(
            error.kind(),
            ConsumerInfoErrorKind::NotFound | ConsumerInfoErrorKind::StreamNotFound
        )
    })
}

fn is_taken(error: &CreateStreamError) -> bool {
    matches!(error.kind(), CreateStreamErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::STREAM_NAME_EXIST)
}
