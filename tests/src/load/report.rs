//! The account of a load.

use std::{fmt, time::Duration};

use super::{
    Options,
    book::{Book, Tally},
};

/// What was seen: figures, what clients had to do again, and what must not be.
#[derive(Clone, Debug)]
pub struct Report {
    finished: usize,
    updates: usize,
    figures: Vec<(&'static str, String)>,
    hindrances: Vec<(&'static str, Tally)>,
    losses: Vec<(&'static str, Tally)>,
}

impl Report {
    pub(super) fn new(book: &Book, options: &Options) -> Self {
        let notes = book.write();
        let finished = notes.orders.values().filter(|finished| **finished).count();
        let busiest = most_within_a_second(&notes.reconnects);
        let mut never = Tally::default();
        if finished < notes.begun {
            let (begun, acknowledged) = (notes.begun, notes.orders.len());
            never.add(
                book.now(),
                &format!("{begun} were begun, {acknowledged} acknowledged, {finished} finished"),
            );
        }
        let mut waiting = Tally::default();
        if notes.busy > 0 {
            let told = format!("{} still wait for an update or an answer", notes.busy);
            waiting.add(book.now(), &told);
        }
        let mut losses = vec![
            ("orders that were not finished", never),
            ("clients that were not done in time", waiting),
            ("what is wrong", notes.wrong.clone()),
            ("versions that did not come", notes.missing.clone()),
            ("versions that came twice", notes.twice.clone()),
        ];
        let mut hindrances = vec![
            ("requests that failed and were repeated", notes.failed.clone()),
            (
                "subscriptions that were not opened at once",
                notes.not_opened.clone(),
            ),
        ];
        if options.unfailing {
            losses.append(&mut hindrances);
        }
        if let Some(most) = options.most_reconnects.filter(|most| busiest > *most) {
            let mut crowded = Tally::default();
            crowded.add(
                book.now(),
                &format!("{busiest} came back within one second, more than {most}"),
            );
            losses.push(("reconnects that were not spread", crowded));
        }
        Self {
            finished,
            updates: notes.updates,
            figures: vec![
                ("subscribers", options.subscribers.to_string()),
                ("orders acknowledged", notes.orders.len().to_string()),
                ("orders finished with every version", finished.to_string()),
                ("updates seen", notes.updates.to_string()),
                ("requests", notes.requests.to_string()),
                ("reconnects", notes.reconnects.len().to_string()),
                ("most reconnects within a second", busiest.to_string()),
                (
                    "longest time without a connection",
                    format!("{:.1} s", notes.longest_gap.as_secs_f64()),
                ),
            ],
            hindrances,
            losses,
        }
    }

    /// How many orders were finished.
    pub fn finished(&self) -> usize {
        self.finished
    }

    /// How many updates subscribers got.
    pub fn updates(&self) -> usize {
        self.updates
    }

    /// Whether nothing was lost.
    pub fn is_clean(&self) -> bool {
        self.losses.iter().all(|(_, tally)| tally.count == 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, figure) in &self.figures {
            writeln!(f, "{name:<46}{figure:>9}")?;
        }
        for (name, tally) in self.hindrances.iter().chain(&self.losses) {
            writeln!(f, "{name:<46}{:>9}", tally.count)?;
            for line in tally.lines() {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}

/// How many of these times, which ascend, are within any one second.
fn most_within_a_second(times: &[Duration]) -> usize {
    let within = |(n, last): (usize, &Duration)| {
        let begin = last.saturating_sub(Duration::from_secs(1));
        n + 1 - times.partition_point(|time| *time < begin)
    };
    times.iter().enumerate().map(within).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn each_kind_of_loss_makes_the_report_unclean() {
        let at = Duration::from_secs(1);
        let report = |damage: &dyn Fn(&Book), options: &[&str]| {
            let book = Book::new();
            damage(&book);
            Report::new(&book, &Options::parse_from(["load"].iter().chain(options)))
        };
        assert!(report(&|_| {}, &["--unfailing"]).is_clean());
        let damages: [&dyn Fn(&Book); 5] = [
            &|book| book.write().begun += 1,
            &|book| book.write().busy += 1,
            &|book| book.write().wrong.add(at, "no id"),
            &|book| book.write().missing.add(at, "3 after 1"),
            &|book| book.write().twice.add(at, "1 after 1"),
        ];
        for damage in damages {
            assert!(!report(damage, &[]).is_clean());
        }
        let failed: &dyn Fn(&Book) = &|book| book.write().failed.add(at, "503");
        assert!(report(failed, &[]).is_clean());
        assert!(!report(failed, &["--unfailing"]).is_clean());
        let crowd: &dyn Fn(&Book) = &|book| book.write().reconnects.extend([at, at, at]);
        assert!(report(crowd, &["--most-reconnects", "3"]).is_clean());
        assert!(!report(crowd, &["--most-reconnects", "2"]).is_clean());
    }

    #[test]
    fn a_crowd_is_one_at_whatever_second_it_begins() {
        let times = [0, 900, 1_100, 1_850, 2_200, 9_000].map(Duration::from_millis);
        assert_eq!(most_within_a_second(&times), 3);
        assert_eq!(most_within_a_second(&[]), 0);
    }
}
