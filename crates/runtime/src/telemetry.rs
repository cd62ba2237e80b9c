//! Logs, and panics as log lines.

use std::{backtrace::Backtrace, io::IsTerminal, panic};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, filter::LevelFilter, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt,
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
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    subscriber(filter, json, colours, std::io::stderr)
        .try_init()
        .map_err(|reason| Error::setting("TIFFIN_LOG", reason))?;
    log_panics();
    Ok(())
}

/// Writes what passes the filter, a line each.
fn subscriber(
    filter: EnvFilter,
    json: bool,
    colours: bool,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> impl Subscriber + Send + Sync {
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = if json {
        lines.json().flatten_event(true).with_span_list(false).boxed()
    } else {
        lines.with_ansi(colours).boxed()
    };
    // Not a filter of this layer alone: such a one loses the next line of a thread in which a library asks whether a line
    // would be logged and then, since it would not, logs none. sqlx does.
    tracing_subscriber::registry().with(filter).with(lines)
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
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_written_though_a_library_asked_in_vain_before_it() {
        let paper = Paper::default();
        let writer = paper.clone();
        let filter = filter("info,loud=off").unwrap();
        let mut loud = None;
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            loud = tracing::warn_span!(target: "loud", "never entered").metadata();
        });
        let loud = loud.unwrap();
        tracing::subscriber::with_default(subscriber(filter, true, false, move || writer.clone()), || {
            for _ in 0..2 {
                // As the crate `log` asks for its users.
                tracing::dispatcher::get_default(|dispatch| assert!(!dispatch.enabled(loud)));
                tracing::error!("the house is on fire");
            }
        });
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("the house is on fire").count(), 2, "{text}");
    }

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
