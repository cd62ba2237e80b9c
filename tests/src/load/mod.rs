//! A steady load on any installation: orders at a rate, each placed until it is acknowledged, and subscribers that stay
//! connected, each following one order after the other to its end. What was promised is checked, whatever happens to the
//! installation meanwhile.

mod audit;
mod book;
mod options;
mod place;
mod report;
mod subscriber;

use std::{sync::Arc, time::Duration};

use anyhow::Result;
pub use options::Options;
pub use report::Report;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use self::book::Book;
use crate::client::Client;

/// How long a client waits for an answer: longer than a gateway looks for a replica that takes the request.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is told how things stand.
const TELL: Duration = Duration::from_secs(5);

/// Runs the load for as long as the options say, or until SIGINT or SIGTERM, and gives the account of it.
pub async fn run(options: &Options) -> Result<Report> {
    let bases = [options.url.trim_end_matches('/').to_owned()];
    let client = Client::new(&bases, &bases, &options.key).with_patience(PATIENCE);
    let book = Arc::new(Book::new());
    let closed = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(place_all(
        options.rate,
        client.clone(),
        book.clone(),
        closed.clone(),
    ));
    for number in 0..options.subscribers {
        let (client, book, closed) = (client.clone(), book.clone(), closed.clone());
        tasks.spawn(subscriber::live(number, client, book, closed));
    }
    book.write().busy = tasks.len();
    let telling = tokio::spawn(tell(book.clone()));
    until_the_end(options.seconds).await?;
    closed.cancel();
    let deadline = Instant::now() + Duration::from_secs(options.patience);
    let all_done = async {
        while let Some(ended) = tasks.join_next().await {
            ended?;
            book.write().busy -= 1;
        }
        anyhow::Ok(())
    };
    if let Ok(ended) = timeout_at(deadline, all_done).await {
        ended?;
    }
    tasks.shutdown().await;
    telling.abort();
    audit::orders(&client, &book, deadline).await;
    Ok(Report::new(&book, options))
}

async fn until_the_end(seconds: Option<u64>) -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let over = async {
        match seconds {
            Some(seconds) => sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Places an order at each tick, whether the ones before were acknowledged or not, and ends when all of them were.
async fn place_all(rate: f64, client: Client, book: Arc<Book>, closed: CancellationToken) {
    let mut placing = JoinSet::new();
    let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0_u64.. {
        if closed.run_until_cancelled(ticks.tick()).await.is_none() {
            break;
        }
        placing.spawn(place::one(number, client.clone(), book.clone()));
        while placing.try_join_next().is_some() {}
    }
    while placing.join_next().await.is_some() {}
}

async fn tell(book: Arc<Book>) {
    let mut ticks = interval(TELL);
    loop {
        ticks.tick().await;
        println!("{}", book.line());
    }
}
