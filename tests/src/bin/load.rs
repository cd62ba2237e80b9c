//! `load`: a steady load on an installation, whose report says whether anything was lost.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tiffin_tests::load::{Options, run};

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let report = run(&Options::parse()).await?;
    println!("\n{report}");
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
