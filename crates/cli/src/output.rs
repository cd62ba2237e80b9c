//! Results, on standard output.

use std::{fmt::Display, io::Write};

use crate::failure::Failure;

/// Writes one line at once, so that whoever reads through a pipe has it.
pub(crate) fn line(text: impl Display) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    let written = writeln!(output, "{text}").and_then(|()| output.flush());
    written.map_err(|error| Failure::fault(format_args!("cannot write the result: {error}")))
}
