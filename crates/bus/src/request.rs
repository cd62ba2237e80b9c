//! Requests to services over NATS.

use std::time::Duration;

use async_nats::{
    HeaderMap, Request, RequestErrorKind,
    service::{NATS_SERVICE_ERROR, NATS_SERVICE_ERROR_CODE},
};
use bytes::Bytes;

use crate::{bus::Bus, message::Headers};

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// There is no usable server just now; nothing was sent.
    #[error("not connected to NATS")]
    Disconnected,
    /// Nobody serves the subject; nothing was done.
    #[error("nobody serves the request")]
    NoResponders,
    /// No answer came in time; whether the request was carried out is unknown.
    #[error("no answer in time")]
    TimedOut,
    /// The service answered that it could not.
    #[error("{message} ({code})")]
    Service {
        /// An HTTP-like code.
        code: u16,
        /// What the service says.
        message: String,
    },
    /// The request could not be sent.
    #[error("the request cannot be sent: {0}")]
    Invalid(#[source] async_nats::RequestError),
}

impl Bus {
    /// Sends `payload` to whoever serves `subject` and waits up to `timeout` for the answer.
    pub async fn request(
        &self,
        subject: &str,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, RequestError> {
        self.request_with_headers(subject, &[], payload, timeout).await
    }

    /// The same, with headers such as `traceparent`.
    pub async fn request_with_headers(
        &self,
        subject: &str,
        headers: &[(&'static str, String)],
        payload: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, RequestError> {
        let connection = self.publishing();
        if !connection.state.borrow().is_connected() {
            return Err(RequestError::Disconnected);
        }
        let client = &connection.client;
        // An inbox of its own: the client's shared one never forgets a request that stays unanswered.
        let mut head = HeaderMap::new();
        for (name, value) in headers {
            head.insert(*name, value.as_str());
        }
        let request = Request::new()
            .headers(head)
            .payload(payload)
            .inbox(client.new_inbox())
            .timeout(None);
        let answer = tokio::time::timeout(timeout, client.send_request(subject.to_owned(), request))
            .await
            .map_err(|_| RequestError::TimedOut)?
            .map_err(|error| match error.kind() {
                RequestErrorKind::NoResponders => RequestError::NoResponders,
                RequestErrorKind::TimedOut => RequestError::TimedOut,
                _ => RequestError::Invalid(error),
            })?;
        let headers = Headers::from(answer.headers);
        match headers.get(NATS_SERVICE_ERROR_CODE) {
            None => Ok(answer.payload),
            Some(code) => Err(RequestError::Service {
                code: code.parse().unwrap_or(500),
                message: headers.get(NATS_SERVICE_ERROR).unwrap_or_default().to_owned(),
            }),
        }
    }
}
