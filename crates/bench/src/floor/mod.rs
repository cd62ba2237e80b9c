//! What the parts that Tiffin is built from do without it.

pub(crate) mod bare;
pub(crate) mod forward;
pub(crate) mod pipeline;
pub(crate) mod publish;
pub(crate) mod resolver;
pub(crate) mod rows;
pub(crate) mod socket;
