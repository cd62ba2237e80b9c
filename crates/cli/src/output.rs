//! Results, on standard output, and news that is no result, on standard error.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
    process,
};

use serde_json::json;

use crate::failure::Failure;

/// Writes one line at once, so that whoever reads through a pipe has it. If nobody reads on, the program ends, and has
/// nothing to complain about.
pub(crate) fn line(text: impl Display) -> Result<(), Failure> {
    match try_line(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => process::exit(0),
        written => written.map_err(|error| Failure::fault(format_args!("cannot write the result: {error}"))),
    }
}

/// The same for a program that goes on whether or not anybody reads.
pub(crate) fn try_line(text: impl Display) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{text}").and_then(|()| output.flush())
}

/// Tells whoever waits how things are.
pub(crate) fn news(text: &str, json: bool) {
    if json {
        say(json!({ "news": text }));
    } else {
        say(text);
    }
}

/// Writes one line to standard error; if nobody reads there, that is no reason to stop.
pub(crate) fn say(text: impl Display) {
    let _unheard = writeln!(io::stderr(), "{text}");
}
