//! Who asks: the owner that a credential stands for, and its role.

use std::{fmt, str::FromStr};

use tiffin_order::{InvalidInput, Owner};
use tiffin_trace::TraceParent;

/// What kind of party a principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A front end and the people who use it: places orders, and reaches those that are its own.
    Customer,
    /// A restaurant's kitchen: sees every order.
    Kitchen,
    /// Whoever delivers: sees every order.
    Courier,
    /// Runs the system: may do everything with every order.
    Operator,
    /// Another service, which only hands on notifications.
    Service,
}

impl Role {
    /// Every role, in the order of their declaration.
    pub const ALL: [Self; 5] = [
        Self::Customer,
        Self::Kitchen,
        Self::Courier,
        Self::Operator,
        Self::Service,
    ];

    /// The role's name in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Kitchen => "kitchen",
            Self::Courier => "courier",
            Self::Operator => "operator",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A role's name that is none of the five.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown role {0:?}: use customer, kitchen, courier, operator or service")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == name)
            .ok_or_else(|| UnknownRole(name.to_owned()))
    }
}

/// The owner that a credential stands for, so that a new key for the same owner changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Whose orders these are, and the actor of what is done.
    pub owner: Owner,
    /// What kind of party that is.
    pub role: Role,
}

/// A text that is not a name and a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPrincipal {
    /// It is not two words.
    #[error("expected NAME ROLE")]
    Form,
    /// The name cannot own orders.
    #[error(transparent)]
    Name(#[from] InvalidInput),
    /// There is no such role.
    #[error(transparent)]
    Role(#[from] UnknownRole),
}

/// Reads `NAME ROLE`, as configuration has it.
impl FromStr for Principal {
    type Err = NoPrincipal;

    fn from_str(text: &str) -> Result<Self, NoPrincipal> {
        let (name, role) = text.split_once(' ').ok_or(NoPrincipal::Form)?;
        Ok(Self {
            owner: Owner::parse(name)?,
            role: role.parse()?,
        })
    }
}

/// Who asks, and within which trace. Each request carries one among its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who asks.
    pub principal: Principal,
    /// What the effects of the request belong to.
    pub trace: Option<TraceParent>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_read_from_its_name_and_role() {
        let principal: Principal = "web customer".parse().unwrap();
        assert_eq!(
            (principal.owner.as_str(), principal.role),
            ("web", Role::Customer)
        );
        let told = |text: &str| text.parse::<Principal>().unwrap_err().to_string();
        assert_eq!(told("web"), "expected NAME ROLE");
        assert!(told("web king").starts_with("unknown role \"king\""));
        assert!(told(&format!("{} customer", "x".repeat(256))).contains("255 printable characters"));
    }
}
