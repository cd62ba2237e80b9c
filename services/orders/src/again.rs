//! Events once more, for whoever lost them: `again.<name>.order.created.<id>`, `again.<name>.order.updated.<id>`.

use std::time::Duration;

use tiffin_bus::{Bus, RepublishError, Republisher, StreamSpec};
use tiffin_eventstore::{Cursor, ReadError, StreamName};
use tiffin_order::OrderId;
use tiffin_platform::error;
use tiffin_proto::v1;
use tiffin_trace::Tracer;

use crate::{
    log::{Log, LogError},
    relay,
};

/// The longest name.
const LONGEST: usize = 64;

/// Its name.
const STREAM: &str = "ORDER_AGAIN";

/// The stream of what is published once more, which nobody follows but who asked for it.
fn stream(replicas: usize) -> StreamSpec {
    StreamSpec {
        name: STREAM,
        description: "Events published once more, for whoever lost them. Written by orders alone.",
        subjects: &["again.*.order.>"],
        max_age: Duration::from_hours(24),
        max_messages: 2_000_000,
        max_bytes: 1 << 30,
        replicas,
        version: 1,
    }
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgainError {
    /// The name is no token of a subject.
    #[error("name: 1 to {LONGEST} letters, digits, - and _")]
    Name,
    /// It would not be known where the events begin.
    #[error("there are messages under this name already")]
    Taken,
    /// It is not said after what to go on.
    #[error("after: not a cursor")]
    NoCursor,
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Republish(#[from] RepublishError),
}

/// Publishes once more what is asked for.
#[derive(Clone)]
pub(crate) struct Again {
    pub(crate) log: Log,
    republisher: Republisher,
}

impl Again {
    /// `replicas`: on how many NATS servers it is kept.
    pub(crate) fn new(bus: &Bus, log: Log, replicas: usize) -> Self {
        let store = log.store.clone();
        let republisher = Republisher::new(bus, store, stream(replicas), |event| {
            relay::any_message(&Tracer::silent(0.0), event)
        });
        Self { log, republisher }
    }

    /// The place after which to begin, or one page more.
    pub(crate) async fn publish(
        &self,
        request: &v1::RepublishRequest,
        order: Option<OrderId>,
    ) -> Result<v1::Republishing, AgainError> {
        let name = request.name.as_str();
        if !is_token(name) {
            return Err(AgainError::Name);
        }
        let (cursor, messages) = if request.from.is_empty() {
            let after: Cursor = request.after.parse().map_err(|_| AgainError::NoCursor)?;
            let only = order.map(|order| StreamName::from(order.stream()));
            let page = self
                .republisher
                .page(name, after, only.as_ref(), request.messages);
            let page = page.await?;
            (page.cursor, page.messages)
        } else {
            let place = self.log.place(&request.from).await?;
            if self.republisher.count(name).await? > 0 {
                return Err(AgainError::Taken);
            }
            (place, 0)
        };
        let head = self.log.store.head().await.map_err(LogError::from)?;
        Ok(v1::Republishing {
            cursor: cursor.to_string(),
            position: cursor.position.0,
            of: head.position.0,
            messages,
            stream: STREAM.to_owned(),
            subjects: Republisher::subjects(name),
        })
    }
}

fn is_token(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=LONGEST).contains(&name.len()) && name.bytes().all(letter)
}

impl From<AgainError> for v1::Error {
    fn from(problem: AgainError) -> Self {
        let message = problem.to_string();
        let (code, hint) = match problem {
            AgainError::Log(problem) => return problem.into(),
            AgainError::Republish(RepublishError::UnknownCursor) => return LogError::UnknownCursor.into(),
            AgainError::Republish(RepublishError::Read(ReadError::Unavailable(fault))) => {
                return LogError::Unavailable(fault.to_string()).into();
            }
            AgainError::Name => ("BAD_USER_INPUT", "Choose a name such as shop-2."),
            AgainError::Taken => ("BAD_USER_INPUT", "Choose another name."),
            AgainError::NoCursor => (
                "BAD_USER_INPUT",
                "Begin with `from`, and go on with the cursor that was answered.",
            ),
            AgainError::Republish(RepublishError::Full(_)) => (
                "BAD_USER_INPUT",
                "Begin later in the log, or make room: `nats stream purge ORDER_AGAIN --subject 'again.NAME.>'` deletes \
                 what was published under a name.",
            ),
            AgainError::Republish(RepublishError::Gone { .. }) => {
                ("BAD_USER_INPUT", "Begin again, under another name.")
            }
            AgainError::Republish(problem) => {
                tracing::warn!(error = %problem, "events could not be published once more");
                ("UNAVAILABLE", "Send the same request again in a moment.")
            }
        };
        error(code, message, hint)
    }
}
