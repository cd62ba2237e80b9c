//! What was found, for people and for programs.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{machine::Machine, method::Comparison, run::Run};

/// One row: a figure of Tiffin beside that of the floor.
#[derive(Debug)]
pub(crate) struct Row {
    /// What is measured, with its unit.
    pub(crate) what: String,
    /// Tiffin's figure.
    pub(crate) ours: f64,
    /// The floor's, where there is one.
    pub(crate) floor: Option<f64>,
    /// What is judged: their ratio, or Tiffin's figure alone.
    pub(crate) judged: f64,
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

    /// Adds the rows that every comparison has, each with its goal: the rate and the CPU time.
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
                judged: medians.ratio,
                goal,
            });
        }
    }

    /// Adds the median of how long one operation took.
    pub(crate) fn latency(&mut self, what: &str, comparison: &Comparison, goal: Goal) {
        self.void += comparison.void;
        self.quantile(what, comparison, 50, goal);
    }

    /// Adds how long so many of a hundred operations took at most.
    pub(crate) fn quantile(&mut self, what: &str, comparison: &Comparison, percent: u8, goal: Goal) {
        let medians = comparison.medians(|run| run.latency_at(f64::from(percent) / 100.0));
        self.rows.push(Row {
            what: format!("{what}, µs at p{percent}"),
            ours: medians.ours,
            floor: Some(medians.floor),
            judged: medians.ratio,
            goal: Some(goal),
        });
    }

    /// Adds a figure of Tiffin that is judged by itself.
    pub(crate) fn alone(&mut self, what: impl Into<String>, ours: f64, goal: Option<Goal>) {
        self.rows.push(Row {
            what: what.into(),
            ours,
            floor: None,
            judged: ours,
            goal,
        });
    }
}

/// All figures of one run of the program.
#[derive(Debug)]
pub(crate) struct Report {
    machine: Machine,
    figures: Vec<Figure>,
}

impl Report {
    /// An empty one.
    pub(crate) fn new(machine: Machine) -> Self {
        Self {
            machine,
            figures: Vec::new(),
        }
    }

    /// Adds a figure.
    pub(crate) fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// As a table for people.
    pub(crate) fn table(&self) -> String {
        let mut text = self.machine.text();
        for figure in &self.figures {
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "\n{} (void pairs: {})", figure.name, figure.void);
            for row in &figure.rows {
                let _infallible = writeln!(text, "{}", row.line());
            }
        }
        text
    }

    /// As one JSON object.
    pub(crate) fn json(&self) -> String {
        let figures: Vec<Value> = self.figures.iter().map(Figure::json).collect();
        format!(
            "{}\n",
            json!({ "machine": self.machine.json(), "figures": figures })
        )
    }
}

impl Row {
    fn line(&self) -> String {
        let floor = self.floor.map_or_else(String::new, |floor| {
            format!("floor {:>10}  ratio {:>6.2}", short(floor), self.judged)
        });
        let goal = self.goal.map_or_else(String::new, |goal| {
            let met = if goal.is_met(self.judged) { "met" } else { "MISSED" };
            format!("{:>8}  {met}", goal.text())
        });
        let line = format!("  {:<58} {:>10}  {floor:<31} {goal}", self.what, short(self.ours));
        line.trim_end().to_owned()
    }

    fn json(&self) -> Value {
        json!({
            "what": self.what,
            "tiffin": self.ours,
            "floor": self.floor,
            "judged": self.judged,
            "goal": self.goal.map(Goal::text),
            "met": self.goal.map(|goal| goal.is_met(self.judged)),
        })
    }
}

impl Figure {
    fn json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        json!({ "name": self.name, "void": self.void, "rows": rows })
    }
}

/// Three significant digits or so.
fn short(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

/// What two results in JSON say about the same rows.
///
/// # Errors
/// One of them is no result.
pub(crate) fn side_by_side(old: &str, new: &str) -> Result<String> {
    let (old, new) = (judged(old)?, judged(new)?);
    let mut text = format!("{:<70} {:>10} {:>10} {:>8}\n", "", "old", "new", "change");
    for (what, after) in &new {
        let Some((_, before)) = old.iter().find(|(found, _)| found == what) else {
            continue;
        };
        let change = (after / before - 1.0) * 100.0;
        writeln!(
            text,
            "{what:<70} {:>10} {:>10} {change:>+7.1}%",
            short(*before),
            short(*after)
        )?;
    }
    Ok(text)
}

/// The name of each row and what is judged of it.
fn judged(json: &str) -> Result<Vec<(String, f64)>> {
    let json: Value = serde_json::from_str(json)?;
    let figures = json["figures"].as_array().context("not a result of --json")?;
    let rows = figures
        .iter()
        .flat_map(|figure| figure["rows"].as_array().into_iter().flatten());
    rows.map(|row| {
        let what = row["what"].as_str().context("a row without a name")?;
        Ok((
            what.to_owned(),
            row["judged"].as_f64().context("a row without a figure")?,
        ))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_two_results_stand_side_by_side() {
        let result = |judged: f64| {
            let mut figure = Figure::new("append");
            figure.alone("rows", judged, Some(Goal::AtLeast(0.5)));
            figure.json()
        };
        let both = [0.4, 0.6].map(|judged| json!({ "figures": [result(judged)] }).to_string());
        let text = side_by_side(&both[0], &both[1]).unwrap();
        assert!(text.contains("rows") && text.contains("+50.0%"), "{text}");
        assert!(side_by_side("{}", &both[0]).is_err());
    }
}
