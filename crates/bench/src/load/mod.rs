//! What clients do, as cheaply as possible: the machine is to be busy with what is measured.

pub(crate) mod flood;
pub(crate) mod frames;
pub(crate) mod http;
pub(crate) mod socket;
