//! Appends for ten minutes, and the slowest of them.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use prometheus_client::{encoding::text::encode, registry::Registry};

use super::{Engine, append::Appenders};
use crate::{
    floor::rows::Rows,
    method::Plan,
    report::{Figure, Goal},
    run::{Subject, count, latencies},
};

pub(super) const NAME: &str = "steady";

/// How long there are appends, on each database.
const RUN: Duration = Duration::from_mins(10);
/// So many times appends and bare groups take turns.
const TURNS: u32 = 60;
/// For so much of the appends' time.
const BARE: f64 = 0.2;
/// Slower than this are those that are judged.
const SLOWEST: f64 = 0.999;

pub(super) async fn measure(plan: Plan) -> Result<Figure> {
    let mut figure = Figure::new(NAME);
    let turn = plan.time.unwrap_or(RUN) / TURNS;
    for (name, engine) in Engine::both().await {
        let (store, watched) = engine.log().await?;
        let folder = watched.wal().and_then(Path::parent).map(Path::to_owned);
        let mut registry = Registry::default();
        store.register(&mut registry);
        let mut appenders = Appenders::new(store.clone(), watched);
        appenders.run(turn).await?;
        let mut rows = engine.rows().await?;
        rows.batches_of(events_of_a_group(&registry)?);
        let (ours, bare_groups) = turns(&mut appenders, &mut rows, turn).await?;
        store.close().await;
        // The next database needs as many gigabytes.
        folder.map(fs::remove_dir_all).transpose()?;

        let at = |histogram: &Histogram<u64>, part| count(histogram.value_at_quantile(part)) / 1e3;
        let (median, slow, bare) = (at(&ours, 0.5), at(&ours, SLOWEST), at(&bare_groups, SLOWEST));
        let what = |what: &str| format!("{name}: {what}");
        figure.alone(what("appends, µs at p50"), median, None);
        figure.alone(what("appends, µs at p99.9"), slow, None);
        figure.alone(what("appends, µs of the slowest"), count(ours.max()) / 1e3, None);
        figure.alone(what("bare groups, µs at p99.9"), bare, None);
        figure.alone(
            what("bare groups, µs of the slowest"),
            count(bare_groups.max()) / 1e3,
            None,
        );
        figure.alone(
            what("p99.9, of 20 medians or 3 bare groups"),
            slow / (20.0 * median).max(3.0 * bare),
            Some(Goal::AtMost(1.0)),
        );
    }
    Ok(figure)
}

/// How long each append and each bare group took.
async fn turns(
    ours: &mut Appenders,
    bare: &mut Rows,
    turn: Duration,
) -> Result<(Histogram<u64>, Histogram<u64>)> {
    let (mut appends, mut groups) = (latencies(), latencies());
    for number in 1..=TURNS {
        groups.add(bare.run(turn.mul_f64(BARE)).await?.latency)?;
        let run = ours.run(turn).await?;
        if number.is_multiple_of(10) {
            eprintln!("  {:.0} appends/s", run.rate());
        }
        appends.add(run.latency)?;
    }
    Ok((appends, groups))
}

/// As many as the store commits together on average.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a group has 1 to 512 events"
)]
fn events_of_a_group(registry: &Registry) -> Result<u64> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    let value = |name: &str| -> Result<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.context("the store counts its groups")?.trim().parse()?)
    };
    let (events, groups) = (
        value("tiffin_store_group_events_sum")?,
        value("tiffin_store_group_events_count")?,
    );
    Ok((events / groups).round() as u64)
}
