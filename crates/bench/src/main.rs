//! `tiffin-bench`: what Tiffin does, beside what the parts it is built from can do in the same minutes.

mod beside;
mod figures;
mod floor;
mod load;
mod machine;
mod method;
mod metrics;
mod report;
mod run;
mod usage;

use std::{fs, future::ready, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Result, anyhow, ensure};
use clap::Parser;
use tiffin_runtime::program;
use tokio::runtime::Runtime;

use crate::{beside::side_by_side, machine::Machine, method::Plan, report::Report};

/// Measures Tiffin against the floor it stands on: the same work by bare sqlx, async-nats and axum.
#[derive(Debug, Parser)]
#[command(name = "tiffin-bench", version)]
struct Settings {
    /// Which figures; without any, all of them.
    #[arg(value_name = "FIGURE")]
    figures: Vec<String>,
    /// Lists the figures there are.
    #[arg(long)]
    list: bool,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Prints two results that --json gave, side by side, and measures nothing.
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with = "figures")]
    compare: Vec<PathBuf>,
    /// How many pairs of floor and Tiffin; their median counts.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// How long each run of a pair works, in seconds; without it as long as the figure asks for.
    #[arg(long)]
    seconds: Option<f64>,
    /// Is the server whose resolver does nothing, on this port.
    #[arg(long, hide = true, value_name = "PORT")]
    answer_nothing: Option<u16>,
    /// Is the server of bare sockets, on this port.
    #[arg(long, hide = true, value_name = "PORT")]
    push: Option<u16>,
    /// Is the server that sends the messages of a stream to sockets: on this port, from this broker.
    #[arg(long, hide = true, num_args = 2, value_names = ["PORT", "NATS"])]
    forward: Vec<String>,
    /// Is the server that places orders by bare parts: on this port, with this broker and this database.
    #[arg(long, hide = true, num_args = 3, value_names = ["PORT", "NATS", "DATABASE"])]
    bare: Vec<String>,
}

fn main() -> ExitCode {
    let settings = Settings::parse();
    if settings.list {
        for figure in figures::ALL {
            println!("{:<16} {}", figure.name, figure.what);
        }
        return ExitCode::SUCCESS;
    }
    if let [port, nats] = &settings.forward[..] {
        return ended(serve(floor::forward::serve(port, nats)));
    }
    if let [port, nats, database] = &settings.bare[..] {
        return ended(serve(floor::bare::serve(port, nats, database)));
    }
    let done = match (settings.answer_nothing, settings.push) {
        (Some(port), _) => serve(floor::resolver::serve(port, || ready(Ok(())))),
        (None, Some(port)) => serve(floor::socket::serve(port)),
        (None, None) => return measured(&settings),
    };
    ended(done)
}

fn ended(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tiffin-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Fails when a goal was missed, or a figure could not be measured: a pair that stayed void, say.
fn measured(settings: &Settings) -> ExitCode {
    match measure(settings) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(missed) => ended(Err(anyhow!("goals missed: {missed}"))),
        Err(error) => ended(Err(error)),
    }
}

/// How many goals were missed.
fn measure(settings: &Settings) -> Result<usize> {
    if let [old, new] = &settings.compare[..] {
        print!(
            "{}",
            side_by_side(&fs::read_to_string(old)?, &fs::read_to_string(new)?)?
        );
        return Ok(0);
    }
    ensure!(settings.pairs > 0, "there must be a pair");
    let plan = Plan {
        pairs: settings.pairs,
        time: settings.seconds.map(Duration::try_from_secs_f64).transpose()?,
    };
    let figures = figures::named(&settings.figures)?;
    program::allow_open_files();
    let runtime = runtime()?;
    let mut report = Report::new(Machine::look(), plan);
    let mut done = Ok(());
    for figure in figures {
        eprintln!("{}: {}", figure.name, figure.what);
        match runtime.block_on((figure.measure)(plan)) {
            Ok(figure) => report.add(figure),
            Err(error) => {
                report.fail(format!("{}: {error:#}", figure.name));
                done = Err(error);
                break;
            }
        }
    }
    print!(
        "{}",
        if settings.json {
            report.json()
        } else {
            report.table()
        }
    );
    done.map(|()| report.missed())
}

fn serve(server: impl Future<Output = Result<()>>) -> Result<()> {
    runtime()?.block_on(server)
}

fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
