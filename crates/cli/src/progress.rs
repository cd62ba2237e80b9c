//! How far a long work is: a bar on standard error.

use std::fmt::Write;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// A bar of events with their rate and the time left, which hides itself where there is no terminal.
pub(crate) fn bar(json: bool) -> ProgressBar {
    if json {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} events, {rate}/s, {eta} left");
    let style = style.expect("the template is a good one");
    let rate = |state: &ProgressState, to: &mut dyn Write| {
        let _infallible = write!(to, "{:.0}", state.per_sec());
    };
    ProgressBar::no_length().with_style(style.with_key("rate", rate))
}
