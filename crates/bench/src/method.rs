//! How two subjects are compared: in turn, so that what the machine does meanwhile meets both.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::run::{Run, Subject};

/// A pair is void when the floor before and after it differs by more than this.
const DRIFT: f64 = 0.2;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How many pairs.
    pub(crate) pairs: usize,
    /// How long each run works; `None`: as long as the figure asks for.
    pub(crate) time: Option<Duration>,
}

/// Tiffin between two runs of the floor.
#[derive(Debug)]
pub(crate) struct Pair {
    before: Run,
    /// Tiffin.
    pub(crate) ours: Run,
    after: Run,
}

/// All pairs of a comparison.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// Those that count.
    pub(crate) pairs: Vec<Pair>,
    /// How many were void.
    pub(crate) void: usize,
}

/// Floor, Tiffin, floor, and again, until there are enough pairs in which the floor's rate held still. A run takes
/// `usual`, unless the plan says otherwise.
///
/// # Errors
/// A run failed, or the floor never holds still: the machine does something else.
pub(crate) async fn compare(
    plan: Plan,
    usual: Duration,
    floor: &mut impl Subject,
    ours: &mut impl Subject,
) -> Result<Comparison> {
    compare_by(Run::rate, plan, usual, floor, ours).await
}

/// The same where something else of the floor is to hold still, because its rate is given.
///
/// # Errors
/// As [`compare`].
pub(crate) async fn compare_by(
    steady: fn(&Run) -> f64,
    plan: Plan,
    usual: Duration,
    floor: &mut impl Subject,
    ours: &mut impl Subject,
) -> Result<Comparison> {
    let time = plan.time.unwrap_or(usual);
    // What is slow the first time (files that grow, caches, plans) is nobody's rate.
    let warm = time / 4;
    floor.run(warm).await?;
    ours.run(warm).await?;
    let (mut pairs, mut void) = (Vec::new(), 0);
    while pairs.len() < plan.pairs {
        let pair = Pair {
            before: floor.run(time).await?,
            ours: ours.run(time).await?,
            after: floor.run(time).await?,
        };
        eprintln!("  {pair}");
        if pair.drift(steady) <= DRIFT {
            pairs.push(pair);
        } else {
            void += 1;
            ensure!(
                void <= 2 * plan.pairs,
                "the floor changes too much: is the machine busy?"
            );
        }
    }
    Ok(Comparison { pairs, void })
}

impl Pair {
    fn drift(&self, steady: fn(&Run) -> f64) -> f64 {
        let (before, after) = (steady(&self.before), steady(&self.after));
        (before - after).abs() / before.min(after)
    }

    fn floor(&self, figure: impl Fn(&Run) -> f64) -> f64 {
        f64::midpoint(figure(&self.before), figure(&self.after))
    }
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [floor, ours, again] = [&self.before, &self.ours, &self.after].map(|run| {
            if run.latency.is_empty() {
                format!("{:.0}/s", run.rate())
            } else {
                format!("{:.0}/s with p50 {:.0} µs", run.rate(), run.latency_at(0.5))
            }
        });
        write!(f, "floor {floor}, Tiffin {ours}, floor {again}")
    }
}

/// The medians of a figure over all pairs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Medians {
    pub(crate) floor: f64,
    pub(crate) ours: f64,
    /// The median of the pairs' ratios, which is not the ratio of the medians.
    pub(crate) ratio: f64,
}

impl Comparison {
    /// The medians of what `figure` makes of a run.
    pub(crate) fn medians(&self, figure: impl Fn(&Run) -> f64) -> Medians {
        let of = |value: &dyn Fn(&Pair) -> f64| median(self.pairs.iter().map(value).collect());
        Medians {
            floor: of(&|pair| pair.floor(&figure)),
            ours: of(&|pair| figure(&pair.ours)),
            ratio: of(&|pair| figure(&pair.ours) / pair.floor(&figure)),
        }
    }

    /// The largest of what `size` finds in Tiffin's runs.
    pub(crate) fn largest(&self, size: impl Fn(&Run) -> Option<u64>) -> Option<u64> {
        self.pairs.iter().filter_map(|pair| size(&pair.ours)).max()
    }

    /// The same of the floor's.
    pub(crate) fn largest_of_floor(&self, size: impl Fn(&Run) -> Option<u64>) -> Option<u64> {
        let runs = self.pairs.iter().flat_map(|pair| [&pair.before, &pair.after]);
        runs.filter_map(size).max()
    }
}

/// The middle of the values, or the mean of the two in the middle. There is at least one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{run::latencies, usage::Usage};

    struct Scripted(Vec<u64>);

    impl Subject for Scripted {
        async fn run(&mut self, time: Duration) -> Result<Run> {
            Ok(Run {
                operations: self.0.remove(0),
                elapsed: time,
                usage: Usage::default(),
                peak: None,
                wal: None,
                latency: latencies(),
            })
        }
    }

    const SECOND: Duration = Duration::from_secs(1);
    const PLAN: Plan = Plan { pairs: 1, time: None };

    #[tokio::test]
    async fn a_pair_whose_floor_drifted_is_void_and_measured_again() {
        let mut floor = Scripted(vec![0, 100, 125, 100, 110]);
        let mut ours = Scripted(vec![0, 999, 42]);
        let comparison = compare(PLAN, SECOND, &mut floor, &mut ours).await.unwrap();
        let medians = comparison.medians(Run::rate);
        assert_eq!(comparison.void, 1);
        assert!((medians.ratio - 0.4).abs() < 1e-9, "{medians:?}");
    }

    #[tokio::test]
    async fn a_floor_that_never_holds_still_is_an_error() {
        let mut floor = Scripted(vec![0, 1, 2, 1, 2, 1, 2, 1, 2]);
        let mut ours = Scripted(vec![0, 1, 1, 1, 1]);
        assert!(compare(PLAN, SECOND, &mut floor, &mut ours).await.is_err());
    }

    #[tokio::test]
    async fn a_floor_of_a_given_rate_holds_still_by_something_else() {
        let mut floor = Scripted(vec![0, 100, 200]);
        let mut ours = Scripted(vec![0, 100]);
        let steady = |run: &Run| run.elapsed.as_secs_f64();
        let comparison = compare_by(steady, PLAN, SECOND, &mut floor, &mut ours).await;
        assert_eq!(comparison.unwrap().void, 0);
    }

    #[test]
    fn the_median_lies_in_the_middle() {
        assert!((median(vec![9.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 9.0]) - 3.0).abs() < f64::EPSILON);
    }
}
