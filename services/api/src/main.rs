//! The program `tiffin-api`.

use std::process::ExitCode;

use tiffin_api::{Settings, serve};

fn main() -> ExitCode {
    tiffin_runtime::main::<Settings>(serve)
}
