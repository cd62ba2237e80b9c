//! The program `tiffin-notifier`.

use std::process::ExitCode;

use tiffin_notifier::{Settings, serve};

fn main() -> ExitCode {
    tiffin_runtime::main::<Settings>(serve)
}
