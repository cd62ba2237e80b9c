//! The program `tiffin-orders`.

use std::process::ExitCode;

use tiffin_orders::{Settings, serve};

fn main() -> ExitCode {
    tiffin_runtime::main::<Settings>(serve)
}
