//! Who and which: the ids of orders and of the principals who act on them.

use std::{fmt, sync::Arc};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{InvalidInput, Problem};

const STREAM_PREFIX: &str = "order-";

/// An order's id: a `UUIDv7`, or a `UUIDv8` derived from an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(Uuid);

impl OrderId {
    /// The id with this UUID.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The id that one owner's idempotency key always leads to.
    pub fn derived(owner: &Owner, key: &IdempotencyKey) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"tiffin/order-id/1\0");
        // The length keeps (ab, c) and (a, bc) apart.
        hash.update((owner.as_str().len() as u64).to_be_bytes());
        hash.update(owner.as_str());
        hash.update(key.as_str());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        Self(Uuid::new_v8(bytes))
    }

    /// Reads an id in its hyphenated form, in either case.
    pub fn parse(text: &str) -> Result<Self, InvalidInput> {
        // The parser also takes braces, URNs and bare hex, which would give one order several names.
        let hyphenated = text.len() == 36;
        match Uuid::try_parse(text) {
            Ok(id) if hyphenated => Ok(Self(id)),
            _ => Err(InvalidInput::new("id", Problem::OrderId)),
        }
    }

    /// The UUID.
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// The name of the order's event stream.
    pub fn stream(self) -> String {
        format!("{STREAM_PREFIX}{}", self.0)
    }

    /// The order whose event stream has this name; `None` for any other stream.
    pub fn from_stream(name: &str) -> Option<Self> {
        let id = Self::parse(name.strip_prefix(STREAM_PREFIX)?).ok()?;
        // A stream's name is compared byte by byte, so only the spelling that `stream` gives counts.
        (name.as_bytes().iter().all(|b| !b.is_ascii_uppercase())).then_some(id)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A customer's name for one wish to order, repeated with each try.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// Checks the key: 16 to 255 printable characters.
    pub fn parse(text: &str) -> Result<Self, InvalidInput> {
        if (16..=255).contains(&text.chars().count()) && text.chars().all(is_printable) {
            return Ok(Self(text.into()));
        }
        Err(InvalidInput::new("idempotencyKey", Problem::IdempotencyKey))
    }

    /// The key as sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! principal {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the name: 1 to 255 printable characters.
            pub fn parse(name: &str) -> Result<Self, InvalidInput> {
                if (1..=255).contains(&name.chars().count()) && name.chars().all(is_printable) {
                    return Ok(Self(name.into()));
                }
                Err(InvalidInput::new($field, Problem::Principal))
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

principal!(
    /// Whom an order belongs to: an opaque name, never a person's.
    Owner,
    "owner"
);
principal!(
    /// Who caused an event: an opaque name, never a person's.
    Actor,
    "actor"
);

fn is_printable(c: char) -> bool {
    c == ' ' || !(c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> Owner {
        Owner::parse(name).unwrap()
    }

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey::parse(text).unwrap()
    }

    #[test]
    fn one_key_of_one_owner_always_leads_to_the_same_order() {
        let id = OrderId::derived(&owner("web"), &key("0123456789abcdef"));
        assert_eq!(id.to_string(), "dc8ba7d0-63ac-8cf5-9d4b-b187fadbe9ed");
        assert_eq!(id.uuid().get_version_num(), 8);
        assert_ne!(id, OrderId::derived(&owner("app"), &key("0123456789abcdef")));
        assert_ne!(
            OrderId::derived(&owner("web0"), &key("0123456789abcdef")),
            OrderId::derived(&owner("web"), &key("00123456789abcdef"))
        );
    }

    #[test]
    fn an_order_has_one_spelling_only() {
        let id = OrderId::parse("0198C5A0-7B1E-7C3A-9F5E-3B1F0D9A4C21").unwrap();
        assert_eq!(id.stream(), "order-0198c5a0-7b1e-7c3a-9f5e-3b1f0d9a4c21");
        assert_eq!(OrderId::from_stream(&id.stream()), Some(id));
        for other in [
            "order-0198C5A0-7B1E-7C3A-9F5E-3B1F0D9A4C21",
            "order-x",
            "workflow-1",
            "order-",
        ] {
            assert_eq!(OrderId::from_stream(other), None, "{other}");
        }
        for wrong in [
            "",
            "x",
            "0198c5a07b1e7c3a9f5e3b1f0d9a4c21",
            "{0198c5a0-7b1e-7c3a-9f5e-3b1f0d9a4c21}",
        ] {
            assert_eq!(
                OrderId::parse(wrong).unwrap_err().problem,
                Problem::OrderId,
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_key_has_sixteen_to_255_printable_characters() {
        for good in ["0123456789abcdef", "grüße aus der küche", &"x".repeat(255)] {
            assert_eq!(key(good).as_str(), good);
        }
        for bad in [
            "",
            "0123456789abcde",
            "0123456789abcde\n",
            "0123456789abcde\u{2028}",
            &"x".repeat(256),
        ] {
            assert_eq!(
                IdempotencyKey::parse(bad).unwrap_err().problem,
                Problem::IdempotencyKey,
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_principal_has_a_name() {
        assert_eq!(Actor::parse("kitchen-1").unwrap().as_str(), "kitchen-1");
        assert_eq!(Owner::parse("").unwrap_err().field, "owner");
        assert_eq!(Actor::parse("a\tb").unwrap_err().problem, Problem::Principal);
    }
}
