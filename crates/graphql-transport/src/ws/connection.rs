//! One WebSocket: what it has been told, what runs on it, and when it is given up.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use axum::extract::ws::{Message, WebSocket};
use futures::{FutureExt, SinkExt};
use http::HeaderMap;
use tokio::time::{Instant, Sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{
    TRANSPORT,
    close::Close,
    message::{self, ClientMessage, Dialect},
    operations::{Event, Operations},
    times::{Due, Times},
    upgrade::lay_over,
};
use crate::{
    error::{Code, Refusal},
    operation::begin,
    request::GraphqlRequest,
    session::{self, Revoked, Session},
    subscribe::Subscribe,
    transport::Transport,
};

/// Results are gathered up to so many bytes and written together.
const BATCH_BYTES: usize = 16 * 1024;
/// The longest id of an operation: it is kept while the operation runs, and sent with each result.
const ID_BYTES: usize = 256;
/// How long the client may take to say good-bye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Why a connection ends: closed by the server, or gone.
enum End {
    Close(Close),
    Gone,
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Close(close)
    }
}

pub(super) struct Connection {
    socket: WebSocket,
    transport: Transport,
    subscriptions: Arc<dyn Subscribe>,
    dialect: Dialect,
    /// The upgrade's headers, until the client is authenticated.
    headers: HeaderMap,
    session: Option<Session>,
    revoked: Revoked,
    operations: Operations,
    times: Times,
    alarm: Pin<Box<Sleep>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connection {
    pub(super) fn new(
        socket: WebSocket,
        transport: Transport,
        subscriptions: Arc<dyn Subscribe>,
        headers: HeaderMap,
    ) -> Self {
        let times = Times::new(Instant::now(), &transport.settings().streams);
        let alarm = Box::pin(sleep_until(times.next()));
        let stop = Box::pin(transport.stop().clone().cancelled_owned());
        let operations = Operations::default();
        Self {
            socket,
            transport,
            subscriptions,
            dialect: Dialect::TransportWs,
            headers,
            session: None,
            revoked: Revoked::default(),
            operations,
            times,
            alarm,
            stop,
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(&mut self) {
        let _counted = self.transport.metrics().connection(TRANSPORT);
        let end = match self
            .socket
            .protocol()
            .map(|protocol| Dialect::of(protocol.as_bytes()))
        {
            Some(dialect) => self.serve(dialect).await,
            None => Close::SubprotocolNotAcceptable.into(),
        };
        if let End::Close(close) = end {
            self.close(&close).await;
        }
    }

    async fn serve(&mut self, dialect: Dialect) -> End {
        self.dialect = dialect;
        loop {
            if let Err(end) = self.step().await {
                return end;
            }
        }
    }

    /// Closes the connection; what the client still sends is read, lest the reason be lost on its way.
    async fn close(&mut self, close: &Close) {
        self.transport.metrics().closed(close.code());
        if *close == Close::TooSlow {
            self.transport.metrics().dropped(TRANSPORT);
        }
        let goodbye = async {
            if self
                .socket
                .send(Message::Close(Some(close.frame())))
                .await
                .is_ok()
            {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        // A client that does not answer in time is left.
        let _ = timeout(GOODBYE, goodbye).await;
    }

    async fn step(&mut self) -> Result<(), End> {
        tokio::select! {
            received = self.socket.recv() => self.received(received).await,
            (id, event) = self.operations.next() => self.send_events(&id, event).await,
            () = &mut self.alarm => self.due().await,
            Some(()) = &mut self.revoked => Err(Close::Forbidden(session::revoked().message).into()),
            () = &mut self.stop, if !self.times.leaving() => {
                let drain = self.transport.settings().streams.drain;
                self.times.leave(Instant::now() + drain.mul_f64(rand::random()));
                self.set_alarm();
                Ok(())
            }
        }
    }

    async fn received(&mut self, received: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        self.times.heard(Instant::now());
        match received {
            Some(Ok(Message::Text(text))) => {
                let message =
                    serde_json::from_str(&text).map_err(|_| Close::BadRequest("Invalid message received"))?;
                // Apart, since what a message needs would count for every idle connection.
                Box::pin(self.told(message)).await
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
            Some(Ok(Message::Binary(_))) => Err(Close::BadRequest("Binary messages are not read").into()),
            // A connection that broke cannot be told so, and is gone then.
            Some(Err(_)) => Err(Close::BadRequest("Message too large or unreadable").into()),
            Some(Ok(Message::Close(_))) => {
                // The next read sends the client's close back to it.
                let _ = timeout(GOODBYE, self.socket.recv()).await;
                Err(End::Gone)
            }
            None => Err(End::Gone),
        }
    }

    async fn told(&mut self, message: ClientMessage) -> Result<(), End> {
        match message {
            ClientMessage::ConnectionInit { payload } => self.init(payload.unwrap_or_default()).await,
            ClientMessage::Ping { payload } => self.send(message::pong(payload)).await,
            ClientMessage::Pong {} | ClientMessage::ConnectionTerminate {} => Ok(()),
            ClientMessage::Subscribe { id, payload } => self.subscribe(&id, payload).await,
            ClientMessage::Start { id, payload } => {
                // A client that offered both protocols and missed which one was chosen believes it is this one.
                self.dialect = Dialect::Legacy;
                self.subscribe(&id, payload).await
            }
            ClientMessage::Complete { id } | ClientMessage::Stop { id } => {
                self.operations.stop(&id);
                Ok(())
            }
        }
    }

    async fn init(&mut self, payload: serde_json::Map<String, serde_json::Value>) -> Result<(), End> {
        if self.session.is_some() {
            return Err(Close::TooManyInits.into());
        }
        let mut headers = std::mem::take(&mut self.headers);
        lay_over(&mut headers, &payload);
        let authenticating = self.transport.authenticate(&headers);
        let by = self.times.init().unwrap_or_else(Instant::now);
        let session = timeout_at(by, authenticating)
            .await
            .map_err(|_| Close::InitTimeout)?;
        match session {
            Ok(session) => {
                self.revoked = session.revoked();
                self.session = Some(session);
                self.times.authenticated();
                self.send(message::ack()).await
            }
            Err(refusal) => {
                if self.dialect == Dialect::Legacy {
                    self.send(message::connection_error(&refusal.message)).await?;
                }
                Err(Close::Forbidden(refusal.message).into())
            }
        }
    }

    async fn subscribe(&mut self, id: &str, request: GraphqlRequest) -> Result<(), End> {
        let Some(session) = self.session.clone() else {
            return Err(Close::Unauthorized.into());
        };
        if id.len() > ID_BYTES {
            return Err(Close::BadRequest("The id of an operation is too long").into());
        }
        if self.operations.contains(id) {
            return Err(Close::SubscriberExists(id.to_owned()).into());
        }
        let at_most = self.transport.settings().streams.subscriptions;
        if self.operations.len() >= at_most {
            let message = format!("Too many subscriptions on one connection: at most {at_most} are allowed.");
            let refusal = Refusal::new(Code::RateLimited, message)
                .hint("Complete one of them first, or open another connection.");
            return self.send_events(id, Event::Failed(refusal.into())).await;
        }
        let (transport, subscriptions) = (self.transport.clone(), Arc::clone(&self.subscriptions));
        let begin =
            async move { begin(&transport, TRANSPORT, &*subscriptions, request, session, None).await };
        self.operations
            .start(id, begin, self.transport.metrics().subscription(TRANSPORT));
        Ok(())
    }

    /// Does what is due, and sets the alarm for what will be next.
    async fn due(&mut self) -> Result<(), End> {
        match self.times.due(Instant::now()) {
            Due::Leave => return Err(Close::Restart.into()),
            Due::Init => return Err(Close::InitTimeout.into()),
            // While something was sent, nothing was read: it may be there by now.
            Due::Dead => match self.socket.recv().now_or_never() {
                Some(received) => self.received(received).await?,
                None => return Err(End::Gone),
            },
            Due::Ping => self.send(Message::Ping(bytes::Bytes::new())).await?,
            Due::Nothing => {}
        }
        self.set_alarm();
        Ok(())
    }

    fn set_alarm(&mut self) {
        self.alarm.as_mut().reset(self.times.next());
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        taken(&self.transport, pin!(self.socket.send(message))).await
    }

    /// Sends this event and those that are there already, in one go.
    async fn send_events(&mut self, id: &str, event: Event) -> Result<(), End> {
        let errors = self.transport.settings().limits.errors;
        let (socket, operations) = (&mut self.socket, &mut self.operations);
        let render = |id: &str, event| render(self.dialect, id, event, errors);
        let first = render(id, event);
        let sending = async {
            let mut rendered = first;
            let mut bytes = 0;
            loop {
                let Some(message) = rendered else { return Ok(false) };
                if let Message::Text(text) = &message {
                    bytes += text.len();
                }
                socket.feed(message).await?;
                match (bytes < BATCH_BYTES).then(|| operations.ready()).flatten() {
                    Some((id, event)) => rendered = render(&id, event),
                    None => return socket.flush().await.map(|()| true),
                }
            }
        };
        if taken(&self.transport, pin!(sending)).await? {
            Ok(())
        } else {
            Err(Close::Internal.into())
        }
    }
}

/// The message for an event; none if it cannot be one.
fn render(dialect: Dialect, id: &str, event: Event, errors: usize) -> Option<Message> {
    match event {
        Event::Next(payload) => message::next(dialect, id, &payload),
        Event::Complete => Some(message::complete(id)),
        Event::Failed(failed) => message::error(dialect, id, failed, errors),
    }
}

/// A client that takes nothing for too long is closed, and at a stop before it is over; the reason can hardly reach it.
/// What is sent stays where it is: a future that is passed on stands in each that it passes.
async fn taken<T>(
    transport: &Transport,
    sending: Pin<&mut impl Future<Output = Result<T, axum::Error>>>,
) -> Result<T, End> {
    tokio::select! {
        biased;
        sent = timeout(transport.settings().streams.send_timeout, sending) => match sent {
            Ok(Ok(sent)) => Ok(sent),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(Close::TooSlow.into()),
        },
        () = transport.drained() => Err(Close::Restart.into()),
    }
}
