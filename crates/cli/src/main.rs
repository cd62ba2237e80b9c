//! The `tiffin` program.
fn main() {}
