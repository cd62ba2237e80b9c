//! The `tiffin` program: everything on one machine, and commands for whoever places or looks after orders.

mod completions;
mod connection;
mod decode;
mod dev;
mod events;
mod failure;
mod keys;
mod migrate;
mod operations;
mod order;
mod output;
mod progress;
mod rebuild;
mod republish;
mod server;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tiffin_runtime::config::{self, Stop};

use crate::failure::{Exit, Failure};

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 it failed; 2 the command line or a setting is wrong; 3 there is no such order; 4 the order or the
key does not allow it; 5 the server cannot be reached or asks to try again later.

Results go to standard output, everything else to standard error. Each setting with an environment variable NAME may
also be given as a file that NAME_FILE names.";

/// Takes food orders and lets everyone concerned watch them live.
#[derive(Debug, Parser)]
#[command(name = "tiffin", version, after_help = EXIT_CODES, arg_required_else_help = false)]
struct Program {
    /// Prints results, and errors, as JSON: one object a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs everything on this machine: API, orders, notifier, SQLite and a nats-server. For development.
    Dev(Box<dev::Settings>),
    /// Places, shows, watches and cancels orders.
    #[command(subcommand, arg_required_else_help = false)]
    Order(order::Command),
    /// Shows the log of all events as it grows.
    #[command(subcommand, arg_required_else_help = false)]
    Events(events::Command),
    /// Reads one message of the bus on standard input and prints it as JSON, for `nats sub --translate`.
    Decode,
    /// Has what is derived from the log of events built anew.
    #[command(subcommand, arg_required_else_help = false)]
    Rebuild(rebuild::Command),
    /// Has events published once more, in order and each once, on again.NAME.order.>, for whoever lost them. Those who
    /// follow the bus notice nothing.
    Republish(republish::Settings),
    /// Makes API keys.
    #[command(subcommand, arg_required_else_help = false)]
    Keys(keys::Command),
    /// Creates the database's tables, or brings them up to date. Safe from several processes at once.
    Migrate(migrate::Settings),
    /// Prints what a shell needs to complete command lines: for bash, `source <(tiffin completions bash)`.
    Completions(completions::Settings),
}

fn main() -> ExitCode {
    let program = match config::parse::<Program>() {
        Ok(program) => program,
        Err(Stop::Said(text)) => {
            let _unheard = output::try_line(text.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(Stop::Wrong(error)) => return Failure::new(Exit::Usage, error).report(json_is_asked_for()),
    };
    let json = program.json;
    let result = match program.command {
        Command::Dev(settings) => return dev::run(*settings, json),
        Command::Order(command) => wait_for(order::run(command, json)),
        Command::Events(command) => wait_for(events::run(command, json)),
        Command::Decode => decode::run(),
        Command::Rebuild(command) => wait_for(rebuild::run(command, json)),
        Command::Republish(settings) => wait_for(republish::run(settings, json)),
        Command::Keys(command) => keys::run(&command, json),
        Command::Migrate(settings) => wait_for(migrate::run(settings, json)),
        Command::Completions(settings) => completions::run(&settings),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

/// For a command line that could not be understood.
fn json_is_asked_for() -> bool {
    std::env::args_os().any(|argument| argument == "--json")
}

fn wait_for(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::fault)?.block_on(work)
}
