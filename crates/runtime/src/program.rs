//! What every `main` does: read the settings, start logging, run, stop in order, and say in one line what is wrong.

use std::{fmt::Display, io::Write, process::ExitCode};

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    Admin, Common, Error, Lifecycle, Traces,
    config::{self, Stop},
    healthcheck,
    lifecycle::Ending,
    telemetry,
};

/// The exit code of a wrong setting.
pub const WRONG_SETTING: u8 = 2;

/// The command line of a service.
pub trait Settings: Parser {
    /// The settings that all services share.
    fn common(&self) -> &Common;
}

/// What a service starts with.
#[derive(Clone)]
pub struct Process {
    /// When to stop, and the tracker for every task.
    pub lifecycle: Lifecycle,
    /// The admin server; it listens already.
    pub admin: Admin,
    /// Makes the tracer of each service.
    pub traces: Traces,
}

/// Runs a service: `start` sets everything up and returns, and what it spawned on the lifecycle runs until SIGTERM or
/// SIGINT. Exits with 0 after a clean stop, 2 if a setting is wrong, else 1. With the argument `healthcheck` it asks the
/// service that runs already instead: 0 if that is ready, else 1.
pub fn main<S: Settings>(start: impl AsyncFnOnce(S, Process) -> anyhow::Result<()>) -> ExitCode {
    if healthcheck::is_wanted() {
        return match healthcheck::run() {
            Ok(Ok(report)) => say(&format_args!("{report}\n")),
            Ok(Err(report)) => complain(&format_args!("not ready: {report}"), 1),
            Err(stop) => not_started(stop),
        };
    }
    let settings = match config::parse::<S>() {
        Ok(settings) => settings,
        Err(stop) => return not_started(stop),
    };
    let common = settings.common().clone();
    let ended = run(&common, async |process| {
        let lifecycle = process.lifecycle.clone();
        // A signal during the start ends the start.
        if let Some(started) = lifecycle.soft.run_until_cancelled(start(settings, process)).await {
            started?;
        }
        Ok(lifecycle.finished().await)
    });
    match ended {
        Ok(ending) => ending.into(),
        Err(error) => complain(&format_args!("{error:#}"), exit_code(&error)),
    }
}

/// Runs `body` with logs, signals and the admin server in place.
pub fn run(
    common: &Common,
    body: impl AsyncFnOnce(Process) -> anyhow::Result<Ending>,
) -> anyhow::Result<Ending> {
    telemetry::init(&common.log)?;
    allow_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ending = runtime.block_on(async {
        let lifecycle = Lifecycle::new(common.grace);
        lifecycle.stop_on_signals()?;
        let admin = Admin::start(common.admin.admin_listen, &lifecycle)?;
        let traces = Traces::new(common.trace_ratio);
        let ending = body(Process {
            lifecycle,
            admin,
            traces: traces.clone(),
        })
        .await;
        traces.finish().await;
        ending
    });
    // A blocking call that hangs must not keep the process.
    runtime.shutdown_background();
    ending
}

/// Lets this process have as many open files as it may ask for. Each connection is one, and many shells and container
/// engines begin with 1,024.
pub fn allow_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, all) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// 2 if a setting is to blame, else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let setting = error
        .chain()
        .any(|cause| matches!(cause.downcast_ref(), Some(Error::Setting(_))));
    if setting { WRONG_SETTING } else { 1 }
}

fn not_started(stop: Stop) -> ExitCode {
    match stop {
        Stop::Said(text) => say(&text),
        Stop::Wrong(error) => complain(&error, WRONG_SETTING),
    }
}

fn say(text: &dyn Display) -> ExitCode {
    let _unheard = write!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}

/// Says on standard error, in one line, what is wrong.
fn complain(error: &dyn Display, code: u8) -> ExitCode {
    let line = error.to_string().replace('\n', " ");
    let _unheard = writeln!(std::io::stderr(), "error: {line}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_open_as_many_files_as_it_may_ask_for() {
        allow_open_files();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
