//! The list of orders, built anew from the log while it is served.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tiffin_tests::stack::waits;
use tokio::time::{Instant, sleep, timeout};

use super::{
    Engine,
    create::{System, WAITS},
    history::History,
};
use crate::{
    load::http::Documents,
    method::{Plan, median},
    report::{Figure, Goal},
    run::count,
};

pub(super) const NAME: &str = "rebuild";

const HISTORY: History = History {
    finished: 100_000,
    open: 10_000,
};
/// How often is asked whether it is done.
const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_mins(5);

pub(super) async fn measure(plan: Plan) -> Result<Figure> {
    let mut figure = Figure::new(NAME);
    for (name, engine) in Engine::both().await {
        let system = System::on(engine.postgres(), &waits(WAITS), Documents::Repeated).await?;
        let system = system.fill(HISTORY).await?;
        let nats = async_nats::connect(system.nats().url()).await?;
        let mut rates = Vec::new();
        for _ in 0..plan.pairs {
            let rate = timeout(PATIENCE, rebuild(&nats))
                .await
                .context("the building never ended")??;
            eprintln!("  {name}: {rate:.0} events/s");
            rates.push(rate);
        }
        figure.alone(
            format!("{name}: events per second"),
            median(rates),
            Some(Goal::AtLeast(50_000.0)),
        );
    }
    Ok(figure)
}

/// Has the list built once; how many events a second were read.
async fn rebuild(nats: &async_nats::Client) -> Result<f64> {
    let begun = Instant::now();
    let mut building = ask(nats, "api.orders.rebuild", json!({})).await?;
    let id = building["id"].clone();
    while building["done"] != true {
        sleep(LOOK).await;
        building = ask(nats, "api.orders.progress", json!({ "id": id })).await?;
    }
    let took = begun.elapsed().as_secs_f64();
    let events: u64 = building["events"]
        .as_str()
        .context("a number of events")?
        .parse()?;
    Ok(count(events) / took)
}

async fn ask(nats: &async_nats::Client, subject: &'static str, request: Value) -> Result<Value> {
    let answer = nats.request(subject, request.to_string().into()).await?;
    let mut answer: Value = serde_json::from_slice(&answer.payload)?;
    let building = answer.get_mut("rebuilding").map(Value::take);
    building.with_context(|| format!("{subject} answered {answer}"))
}
