//! What was found, for people and for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{
    machine::Machine,
    method::{Comparison, Plan},
    run::{Run, count},
};

/// One row: a figure of Tiffin beside that of the floor.
#[derive(Debug)]
pub(crate) struct Row {
    /// What is measured, with its unit.
    pub(crate) what: String,
    /// Tiffin's figure.
    pub(crate) ours: f64,
    /// The floor's, where there is one.
    pub(crate) floor: Option<f64>,
    /// Their ratio, if that is what is judged; otherwise it is Tiffin's figure alone.
    pub(crate) ratio: Option<f64>,
    /// What it is to be; `None`: it is printed and judges nothing.
    pub(crate) goal: Option<Goal>,
}

/// What a figure is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("≥ {bound}"),
            Self::AtMost(bound) => format!("≤ {bound}"),
        }
    }
}

/// The rows of one figure.
#[derive(Debug)]
pub(crate) struct Figure {
    /// Its name.
    pub(crate) name: &'static str,
    /// What was found.
    pub(crate) rows: Vec<Row>,
    /// How many pairs were void.
    pub(crate) void: usize,
}

impl Figure {
    /// A figure without rows.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            rows: Vec::new(),
            void: 0,
        }
    }

    /// Adds the rows that every comparison has: the rate and the CPU time, each with its goal, what was written to the
    /// disk, and the largest memory and WAL where they can be told.
    pub(crate) fn compared(
        &mut self,
        what: &str,
        comparison: &Comparison,
        rate: Option<Goal>,
        cpu: Option<Goal>,
    ) {
        self.void += comparison.void;
        for (unit, figure, goal) in [
            ("per second", &Run::rate as &dyn Fn(&Run) -> f64, rate),
            ("CPU-µs each", &Run::cpu_per_operation, cpu),
        ] {
            let medians = comparison.medians(figure);
            self.rows.push(Row {
                what: format!("{what}, {unit}"),
                ours: medians.ours,
                floor: Some(medians.floor),
                ratio: Some(medians.ratio),
                goal,
            });
        }
        let written = comparison.medians(Run::written_per_operation);
        self.beside(
            format!("{what}, bytes written each"),
            written.ours,
            Some(written.floor),
        );
        let ours = |size: fn(&Run) -> Option<u64>| comparison.largest(size).map(mebibytes);
        let floor = comparison.largest_of_floor(|run| run.peak).map(mebibytes);
        if let Some(peak) = ours(|run| run.peak) {
            self.beside(format!("{what}, MiB of memory at the peak"), peak, floor);
        }
        if let Some(wal) = ours(|run| run.wal) {
            self.beside(format!("{what}, MiB of the largest WAL"), wal, None);
        }
    }

    /// Adds a figure that is printed beside the floor's, and not divided by it: that may be nothing.
    fn beside(&mut self, what: String, ours: f64, floor: Option<f64>) {
        self.rows.push(Row {
            what,
            ours,
            floor,
            ratio: None,
            goal: None,
        });
    }

    /// Adds the median of how long one operation took.
    pub(crate) fn latency(&mut self, what: &str, comparison: &Comparison, goal: impl Into<Option<Goal>>) {
        self.void += comparison.void;
        self.quantile(what, comparison, 50, goal);
    }

    /// Adds how long so many of a hundred operations took at most.
    pub(crate) fn quantile(
        &mut self,
        what: &str,
        comparison: &Comparison,
        percent: u8,
        goal: impl Into<Option<Goal>>,
    ) {
        let medians = comparison.medians(|run| run.latency_at(f64::from(percent) / 100.0));
        self.rows.push(Row {
            what: format!("{what}, µs at p{percent}"),
            ours: medians.ours,
            floor: Some(medians.floor),
            ratio: Some(medians.ratio),
            goal: goal.into(),
        });
    }

    /// Adds a figure of Tiffin that is judged by itself.
    pub(crate) fn alone(&mut self, what: impl Into<String>, ours: f64, goal: Option<Goal>) {
        self.rows.push(Row {
            what: what.into(),
            ours,
            floor: None,
            ratio: None,
            goal,
        });
    }
}

/// All figures of one run of the program.
#[derive(Debug)]
pub(crate) struct Report {
    machine: Machine,
    plan: Plan,
    figures: Vec<Figure>,
    failed: Option<String>,
}

impl Report {
    /// An empty one.
    pub(crate) fn new(machine: Machine, plan: Plan) -> Self {
        Self {
            machine,
            plan,
            figures: Vec::new(),
            failed: None,
        }
    }

    /// Adds a figure.
    pub(crate) fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// Says why the figures that should follow do not.
    pub(crate) fn fail(&mut self, why: String) {
        self.failed = Some(why);
    }

    /// How many goals were missed.
    pub(crate) fn missed(&self) -> usize {
        let rows = self.figures.iter().flat_map(|figure| &figure.rows);
        rows.filter(|row| row.met() == Some(false)).count()
    }

    /// As a table for people.
    pub(crate) fn table(&self) -> String {
        let mut text = self.machine.text();
        let time = self.plan.time.map_or_else(
            || "as long as its figure asks for".to_owned(),
            |time| format!("{} s", time.as_secs_f64()),
        );
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "median of {} pairs, each run {time}", self.plan.pairs);
        for figure in &self.figures {
            let _infallible = writeln!(text, "\n{} (void pairs: {})", figure.name, figure.void);
            for row in &figure.rows {
                let _infallible = writeln!(text, "{}", row.line());
            }
        }
        if let Some(failed) = &self.failed {
            let _infallible = writeln!(text, "\nFAILED: {failed}");
        }
        text
    }

    /// As one JSON object.
    pub(crate) fn json(&self) -> String {
        let figures: Vec<Value> = self.figures.iter().map(Figure::json).collect();
        let result = json!({
            "machine": self.machine.json(),
            "pairs": self.plan.pairs,
            "seconds": self.plan.time.map(|time| time.as_secs_f64()),
            "figures": figures,
            "failed": self.failed,
        });
        format!("{result}\n")
    }
}

impl Row {
    fn judged(&self) -> f64 {
        self.ratio.unwrap_or(self.ours)
    }

    fn met(&self) -> Option<bool> {
        self.goal.map(|goal| goal.is_met(self.judged()))
    }

    fn line(&self) -> String {
        let floor = self
            .floor
            .map_or_else(String::new, |floor| format!("floor {:>10}", short(floor)));
        let ratio = self
            .ratio
            .map_or_else(String::new, |ratio| format!("ratio {ratio:>6.2}"));
        let goal = self.goal.map_or_else(String::new, |goal| {
            let met = if self.met() == Some(true) { "met" } else { "MISSED" };
            format!("{:>8}  {met}", goal.text())
        });
        let line = format!(
            "  {:<67} {:>10}  {floor:<16}  {ratio:<13} {goal}",
            self.what,
            short(self.ours)
        );
        line.trim_end().to_owned()
    }

    fn json(&self) -> Value {
        json!({
            "what": self.what,
            "tiffin": self.ours,
            "floor": self.floor,
            "judged": self.judged(),
            "goal": self.goal.map(Goal::text),
            "met": self.met(),
        })
    }
}

impl Figure {
    /// As a part of the result.
    pub(crate) fn json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        json!({ "name": self.name, "void": self.void, "rows": rows })
    }
}

fn mebibytes(bytes: u64) -> f64 {
    count(bytes) / 1024.0 / 1024.0
}

/// Three significant digits or so.
pub(crate) fn short(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_that_was_missed_is_counted() {
        let plan = Plan { pairs: 1, time: None };
        let mut report = Report::new(Machine::default(), plan);
        let mut figure = Figure::new("append");
        figure.alone("rows", 0.4, Some(Goal::AtLeast(0.5)));
        figure.alone("µs", 0.4, Some(Goal::AtMost(0.5)));
        figure.alone("MiB", 9.0, None);
        report.add(figure);
        assert_eq!(report.missed(), 1);
    }
}
