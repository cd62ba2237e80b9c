//! Logs, and panics as log lines.

use std::{backtrace::Backtrace, io::IsTerminal, panic};

use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    Error,
    settings::{LogFormat, LogSettings},
};

/// Starts logging to standard error, for the rest of the process.
pub fn init(settings: &LogSettings) -> Result<(), Error> {
    let filter =
        EnvFilter::try_new(&settings.filter).map_err(|reason| Error::setting("TIFFIN_LOG", reason))?;
    let terminal = std::io::stderr().is_terminal();
    let json = match settings.format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if json {
        lines.json().flatten_event(true).with_span_list(false).boxed()
    } else {
        lines
            .with_ansi(terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
            .boxed()
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(|reason| Error::setting("TIFFIN_LOG", reason))?;
    log_panics();
    Ok(())
}

/// Makes a panic one log line; it goes on to unwind, so that only its task ends.
fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let message = info.payload_as_str().unwrap_or("a value that is not text");
        let backtrace = Backtrace::capture();
        tracing::error!(place, backtrace = %backtrace, "panic: {message}");
    }));
}
