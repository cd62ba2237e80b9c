//! What a customer sees of an order's progress: status, version and the reason for an end that nobody ordered.

use std::fmt;

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Placed, not yet paid.
    Pending,
    /// Paid, not yet accepted by the kitchen.
    Paid,
    /// Being cooked.
    Preparing,
    /// With the courier; from here on it cannot be cancelled.
    OutForDelivery,
    /// At the customer's door: the end.
    Delivered,
    /// Given up: the other end.
    Cancelled,
}

impl Status {
    /// Every status, in the order of the happy path, then [`Status::Cancelled`].
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Paid,
        Self::Preparing,
        Self::OutForDelivery,
        Self::Delivered,
        Self::Cancelled,
    ];

    /// The name in the GraphQL schema, in headers and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Paid => "PAID",
            Self::Preparing => "PREPARING",
            Self::OutForDelivery => "OUT_FOR_DELIVERY",
            Self::Delivered => "DELIVERED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Whether no other status follows.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Cancelled)
    }

    /// Whether an order that has come this far may still be cancelled.
    pub const fn is_cancellable(self) -> bool {
        matches!(self, Self::Pending | Self::Paid | Self::Preparing)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an order ended other than by delivery: a closed list of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The customer who placed it cancelled it.
    CancelledByCustomer,
    /// Somebody on the other side of the counter cancelled it: kitchen, courier or operator.
    CancelledByStaff,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::CancelledByCustomer, Self::CancelledByStaff];

    /// The code that clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CancelledByCustomer => "CANCELLED_BY_CUSTOMER",
            Self::CancelledByStaff => "CANCELLED_BY_STAFF",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Counts the states of an order that a customer could see, from 1, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u32);

impl Version {
    /// The version of a new order.
    pub const FIRST: Self = Self(1);

    /// The version with this number; `None` for 0, which no state has.
    pub const fn new(number: u32) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    /// The number, from 1.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The version that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
