//! Messages as JSON, by protobuf's own mapping.

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};

use crate::DESCRIPTORS;

/// JSON that is not the message it should be, or a message that is not.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// No JSON, an unknown field or a value of another type.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// No such message.
    #[error("{0}")]
    Decode(#[from] prost::DecodeError),
}

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("the build wrote valid descriptors"));

/// The language that a request is written in, and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// What the messages are defined in.
    Protobuf,
    /// What people write by hand.
    Json,
}

impl Language {
    /// The language of a request: JSON is an object.
    pub fn of(request: &[u8]) -> Self {
        if request.first() == Some(&b'{') {
            Self::Json
        } else {
            Self::Protobuf
        }
    }

    /// Reads a message.
    pub fn read<M: Message + Name + Default>(self, bytes: &[u8]) -> Result<M, JsonError> {
        match self {
            Self::Protobuf => Ok(M::decode(bytes)?),
            Self::Json => from_json(bytes),
        }
    }

    /// Writes a message.
    pub fn write<M: Message + Name>(self, message: &M) -> Result<Vec<u8>, JsonError> {
        match self {
            Self::Protobuf => Ok(message.encode_to_vec()),
            Self::Json => to_json(message),
        }
    }
}

fn descriptor<M: Name>() -> MessageDescriptor {
    POOL.get_message_by_name(&M::full_name())
        .expect("the build wrote the descriptor of each message")
}

/// Reads a message from JSON. Unknown fields are errors.
pub fn from_json<M: Message + Name + Default>(json: &[u8]) -> Result<M, JsonError> {
    let mut json = serde_json::Deserializer::from_slice(json);
    let message = DynamicMessage::deserialize(descriptor::<M>(), &mut json)?;
    json.end()?;
    Ok(message.transcode_to()?)
}

/// The message as JSON on one line.
pub fn to_json<M: Message + Name>(message: &M) -> Result<Vec<u8>, JsonError> {
    let dynamic = DynamicMessage::decode(descriptor::<M>(), message.encode_to_vec().as_slice())?;
    let mut json = serde_json::Serializer::new(Vec::new());
    dynamic.serialize_with_options(&mut json, &SerializeOptions::new())?;
    Ok(json.into_inner())
}
