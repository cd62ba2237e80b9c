//! `make torture`: prints the ledger of one run, and exits with 1 if a promise was broken.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tiffin_tests::torture::{Options, run};

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let options = Options::parse();
    println!("seed {}", options.seed);
    let ledger = run(&options).await?;
    println!("\n{ledger}");
    Ok(if ledger.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
