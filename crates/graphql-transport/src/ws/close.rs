//! Why the server closes a WebSocket.

use std::borrow::Cow;

use axum::extract::ws::CloseFrame;

/// A reason longer than this makes the frame invalid.
const REASON_BYTES: usize = 123;

/// Why the server closes a WebSocket: the codes of graphql-transport-ws, and WebSocket's own where it has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// The service is about to stop: clients connect again by themselves.
    Restart,
    /// The client did not take what was sent to it.
    TooSlow,
    /// What came is no message of the protocol.
    BadRequest(&'static str),
    /// A subscription before `connection_ack`.
    Unauthorized,
    /// The authentication was refused.
    Forbidden(Cow<'static, str>),
    /// No sub-protocol that is spoken here was offered.
    SubprotocolNotAcceptable,
    /// No `connection_init` in time.
    InitTimeout,
    /// A second subscription under an id in use.
    SubscriberExists(String),
    /// A second `connection_init`.
    TooManyInits,
    /// A fault of ours.
    Internal,
}

impl Close {
    /// Every code with which the server closes.
    pub(super) const CODES: [u16; 10] = [1012, 1013, 4400, 4401, 4403, 4406, 4408, 4409, 4429, 4500];

    pub(super) fn code(&self) -> u16 {
        match self {
            Self::Restart => 1012,
            Self::TooSlow => 1013,
            Self::BadRequest(_) => 4400,
            Self::Unauthorized => 4401,
            Self::Forbidden(_) => 4403,
            Self::SubprotocolNotAcceptable => 4406,
            Self::InitTimeout => 4408,
            Self::SubscriberExists(_) => 4409,
            Self::TooManyInits => 4429,
            Self::Internal => 4500,
        }
    }

    fn reason(&self) -> Cow<'static, str> {
        match self {
            Self::Restart => "Service restart".into(),
            Self::TooSlow => "Too slow".into(),
            Self::BadRequest(reason) => (*reason).into(),
            Self::Forbidden(reason) => reason.clone(),
            Self::Unauthorized => "Unauthorized".into(),
            Self::SubprotocolNotAcceptable => "Subprotocol not acceptable".into(),
            Self::InitTimeout => "Connection initialisation timeout".into(),
            Self::SubscriberExists(id) => format!("Subscriber for {id} already exists").into(),
            Self::TooManyInits => "Too many initialisation requests".into(),
            Self::Internal => "Internal server error".into(),
        }
    }

    pub(super) fn frame(&self) -> CloseFrame {
        let reason = self.reason();
        let end = reason.floor_char_boundary(REASON_BYTES);
        CloseFrame {
            code: self.code(),
            reason: reason[..end].into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Close;

    #[test]
    fn a_long_reason_is_cut_to_what_a_frame_can_hold() {
        let frame = Close::SubscriberExists("ü".repeat(500)).frame();
        assert!(frame.reason.len() <= 123);
        assert!(frame.reason.starts_with("Subscriber for üü"));
    }
}
