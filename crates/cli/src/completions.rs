//! `tiffin completions`: what a shell needs to complete command lines.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{Program, failure::Failure, output};

#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(settings: &Settings) -> Result<(), Failure> {
    let mut script = Vec::new();
    let mut program = Program::command();
    let name = program.get_name().to_owned();
    clap_complete::generate(settings.shell, &mut program, name, &mut script);
    let script = String::from_utf8(script).map_err(Failure::fault)?;
    output::line(script.trim_end())
}
