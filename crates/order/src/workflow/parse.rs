//! Reads `saga.toml`, and says in which line it makes no sense.

use std::{ops::Range, time::Duration};

use serde::Deserialize;
use toml::Spanned;

use super::{Step, StepName};

const LONGEST_WAIT: Duration = Duration::from_hours(30 * 24);

/// A `saga.toml` that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct SagaError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: SagaProblem,
}

/// What is wrong with a `saga.toml`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SagaProblem {
    /// No TOML, an unknown key, a missing key or a value of another type.
    #[error("{0}")]
    Syntax(String),
    /// A step that there is not.
    #[error("there is no step {0:?}; the steps are payment, confirmation, ready and delivery")]
    UnknownStep(String),
    /// A step that is missing, out of order or there twice.
    #[error("here comes step {found:?}, but the next one has to be {expected:?}")]
    WrongOrder {
        /// The step that has to come here.
        expected: &'static str,
        /// The step that is there.
        found: &'static str,
    },
    /// The file ends too early.
    #[error("step {0:?} is missing at the end")]
    Missing(&'static str),
    /// More steps than there are.
    #[error("nothing may follow the last step, delivery")]
    TooMany,
    /// A kind of step that this version does not know.
    #[error("there is no kind {0:?}; this version knows \"wait\"")]
    UnknownKind(String),
    /// A wait that is no duration.
    #[error("{0:?} is no duration; write a whole number and ms, s, m or h, such as \"30s\"")]
    NoDuration(String),
    /// A wait of more than 30 days.
    #[error("{0:?} is too long; a step waits at most 30 days (\"720h\")")]
    TooLong(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SagaFile {
    #[serde(default)]
    step: Vec<Spanned<StepTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepTable {
    name: Spanned<String>,
    kind: Spanned<String>,
    wait: Spanned<String>,
}

pub(super) fn steps(text: &str) -> Result<[Step; 4], SagaError> {
    let at = |span: Range<usize>, problem| SagaError {
        line: line(text, span.start),
        problem,
    };
    let file: SagaFile = toml::from_str(text).map_err(|error| {
        at(
            error.span().unwrap_or_default(),
            SagaProblem::Syntax(error.message().to_owned()),
        )
    })?;
    if let Some(extra) = file.step.get(StepName::ALL.len()) {
        return Err(at(extra.span(), SagaProblem::TooMany));
    }
    let mut steps = StepName::ALL.map(|name| Step {
        name,
        wait: Duration::ZERO,
    });
    for (index, step) in steps.iter_mut().enumerate() {
        let Some(table) = file.step.get(index) else {
            let end = text.trim_end().len();
            return Err(at(end..end, SagaProblem::Missing(step.name.as_str())));
        };
        step.wait = wait(step.name, table.get_ref()).map_err(|(span, problem)| at(span, problem))?;
    }
    Ok(steps)
}

fn wait(expected: StepName, table: &StepTable) -> Result<Duration, (Range<usize>, SagaProblem)> {
    let name = table.name.get_ref();
    let Some(found) = StepName::ALL.into_iter().find(|step| step.as_str() == name) else {
        return Err((table.name.span(), SagaProblem::UnknownStep(name.clone())));
    };
    if found != expected {
        let problem = SagaProblem::WrongOrder {
            expected: expected.as_str(),
            found: found.as_str(),
        };
        return Err((table.name.span(), problem));
    }
    if table.kind.get_ref() != "wait" {
        return Err((
            table.kind.span(),
            SagaProblem::UnknownKind(table.kind.get_ref().clone()),
        ));
    }
    duration(table.wait.get_ref()).map_err(|problem| (table.wait.span(), problem))
}

fn duration(text: &str) -> Result<Duration, SagaProblem> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(SagaProblem::NoDuration(text.to_owned())),
    };
    if number.is_empty() {
        return Err(SagaProblem::NoDuration(text.to_owned()));
    }
    // A number beyond 64 bits is a duration too, only too long.
    let ms = number.parse().unwrap_or(u64::MAX).saturating_mul(unit_ms);
    let wait = Duration::from_millis(ms);
    if wait > LONGEST_WAIT {
        Err(SagaProblem::TooLong(text.to_owned()))
    } else {
        Ok(wait)
    }
}

fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
