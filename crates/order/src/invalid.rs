//! What is wrong with an input, in words for whoever sent it.

use crate::{
    product::{MAX_NAME_CHARS, MAX_NAMES_BYTES, MAX_PRODUCTS, MAX_QUANTITY},
    text::MAX_NOTE_CHARS,
};

/// An input that breaks a rule: where, and which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidInput {
    /// The path of the offending value, such as `products[3].name`.
    pub field: String,
    /// The rule that it breaks.
    pub problem: Problem,
}

impl InvalidInput {
    pub(crate) fn new(field: impl Into<String>, problem: Problem) -> Self {
        Self {
            field: field.into(),
            problem,
        }
    }

    /// The same problem, seen from the value that contains this one.
    pub(crate) fn within(mut self, outer: &str) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self
    }
}

/// The rule that an input breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// An order without products.
    #[error("an order needs at least one product")]
    NoProducts,
    /// More products than an order may have.
    #[error("an order has at most {MAX_PRODUCTS} products")]
    TooManyProducts,
    /// A name in which nothing can be seen.
    #[error("a product needs a name")]
    BlankName,
    /// A name that is too long.
    #[error("a product's name has at most {MAX_NAME_CHARS} characters")]
    NameTooLong,
    /// A name or note with a line break, another control character, or one that turns the direction of the text.
    #[error("a text has no control characters, and none that turn its direction")]
    Misleading,
    /// A note in which nothing can be seen.
    #[error("a note says something")]
    BlankNote,
    /// A note that is too long.
    #[error("a note has at most {MAX_NOTE_CHARS} characters")]
    NoteTooLong,
    /// All names together are too long.
    #[error("all names of an order together have at most {MAX_NAMES_BYTES} bytes")]
    NamesTooLong,
    /// A quantity of zero, below or far above.
    #[error("a quantity is a whole number from 1 to {MAX_QUANTITY}")]
    Quantity,
    /// An order id that is none.
    #[error("this is not an order id")]
    OrderId,
    /// An idempotency key that is too short, too long or not printable.
    #[error("an idempotency key has 16 to 255 printable characters")]
    IdempotencyKey,
    /// An owner or actor that is empty or too long.
    #[error("a principal's name has 1 to 255 printable characters")]
    Principal,
}

impl Problem {
    /// What to do about it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::NoProducts => "Name at least one product with its quantity.",
            Self::TooManyProducts | Self::NamesTooLong => "Split it into several orders.",
            Self::BlankName => "Give the product a name that can be read.",
            Self::NameTooLong => "Shorten the name.",
            Self::Misleading => {
                "Write one line of plain text, without line breaks, tabs and other characters that cannot be seen."
            }
            Self::BlankNote => "Write something that can be read, or leave the note out.",
            Self::NoteTooLong => "Shorten the note.",
            Self::Quantity => "Give a quantity from 1 to 1000.",
            Self::OrderId => {
                "Use the id that createOrder answered, such as 0198c5a0-7b1e-7c3a-9f5e-3b1f0d9a4c21."
            }
            Self::IdempotencyKey => "Use a fresh UUID for each order and the same one when you try again.",
            Self::Principal => "Use the name that stands in the keys' file.",
        }
    }
}
