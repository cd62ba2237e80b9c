//! The one decision of who may do what to which order.

use tiffin_order::Owner;

use crate::{ErrorCode, Principal, Role};

/// What someone wants to do with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Place one.
    Create,
    /// Read one and its timeline.
    Read,
    /// See the list of all.
    List,
    /// Call one off.
    Cancel,
    /// Follow one live.
    Watch,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 5] = [Self::Create, Self::Read, Self::List, Self::Cancel, Self::Watch];
}

/// Decides whether `principal` may do this at all (`owner` is `None`: no order is known yet), or to the order of
/// this owner.
///
/// # Errors
/// [`ErrorCode::Forbidden`] where the role never may; [`ErrorCode::NotFound`] where it may, but not to this order:
/// an order that is not yours does not exist.
pub fn authorize(principal: &Principal, action: Action, owner: Option<&Owner>) -> Result<(), ErrorCode> {
    let (may, only_own) = match (principal.role, action) {
        (Role::Operator, _)
        | (Role::Kitchen | Role::Courier, Action::Read | Action::List | Action::Watch) => (true, false),
        // A customer's key is shared by all who use that front end: it reaches an order by its id alone.
        (Role::Customer, Action::List)
        | (Role::Kitchen | Role::Courier, Action::Create | Action::Cancel)
        | (Role::Service, _) => (false, false),
        (Role::Customer, _) => (true, true),
    };
    match owner {
        _ if !may => Err(ErrorCode::Forbidden),
        Some(owner) if only_own && *owner != principal.owner => Err(ErrorCode::NotFound),
        _ => Ok(()),
    }
}
