//! Logs, and panics as log lines.

use std::{backtrace::Backtrace, io::IsTerminal, panic};

use tracing_subscriber::{
    EnvFilter, Layer, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::{
    Error,
    settings::{LogFormat, LogSettings},
};

/// Starts logging to standard error, for the rest of the process.
pub fn init(settings: &LogSettings) -> Result<(), Error> {
    let filter = filter(&settings.filter)?;
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

/// Reads what is to be logged. The library takes every word that is no level for the name of a module, so that a slip
/// of the pen would silence everything else.
fn filter(text: &str) -> Result<EnvFilter, Error> {
    let wrong = |reason: &str| {
        let advice = "write a level, such as info, or info,tiffin_bus=debug";
        Error::setting("TIFFIN_LOG", format_args!("{reason}; {advice}"))
    };
    for part in text.split(',') {
        let named = part.contains(['=', '[']);
        if !named && part.parse::<LevelFilter>().is_err() {
            return Err(wrong(&format!("{part:?} is no level")));
        }
    }
    EnvFilter::try_new(text).map_err(|reason| wrong(&reason.to_string()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for good in [
            "info",
            "INFO,async_nats=off",
            "warn,tiffin_bus=debug",
            "off",
            "[order{id=1}]=trace",
        ] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for wrong in ["nope nope", "verbose", "info,tiffin_bus", "info,tiffin_bus=loud"] {
            let refused = filter(wrong).unwrap_err().to_string();
            assert!(
                refused.starts_with("TIFFIN_LOG: ") && refused.contains("such as info"),
                "{refused}"
            );
        }
    }
}
