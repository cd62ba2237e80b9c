//! What the load can be told.

use clap::Parser;

/// Places orders at a rate and keeps subscribers connected, until the time is over or it is interrupted; then waits for
/// every order to be finished, prints what was seen, and exits with 1 if anything was lost.
#[derive(Clone, Debug, Parser)]
#[command(name = "load")]
pub struct Options {
    /// The origin, as in <http://127.0.0.1:8080>.
    #[arg(long, env = "TIFFIN_SERVER", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// A customer's API key.
    #[arg(
        long,
        env = "TIFFIN_API_KEY",
        default_value = "da2-tiffindevelopmentkey000000",
        hide_env_values = true
    )]
    pub key: String,
    /// How many stay connected: by turns over WebSocket and by server-sent events.
    #[arg(long, default_value_t = 200)]
    pub subscribers: usize,
    /// Orders a second.
    #[arg(long, default_value_t = 5.0, value_parser = rate)]
    pub rate: f64,
    /// How long orders are placed; without it, until SIGINT or SIGTERM.
    #[arg(long)]
    pub seconds: Option<u64>,
    /// How many seconds everything may take to be finished after the last order.
    #[arg(long, default_value_t = 180)]
    pub patience: u64,
    /// A request that fails counts as a loss, though it was repeated with success.
    #[arg(long)]
    pub unfailing: bool,
    /// More subscribers than this that come back within one second count as a loss.
    #[arg(long)]
    pub most_reconnects: Option<usize>,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.01..=10_000.0).contains(&rate) => Ok(rate),
        _ => Err("not a number from 0.01 to 10000".to_owned()),
    }
}
