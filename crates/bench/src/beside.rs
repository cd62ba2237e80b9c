//! Two results, row by row.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::report::short;

/// What two results in JSON say, row by row; a row that only one of them has stands alone.
///
/// # Errors
/// One of them is no result.
pub(crate) fn side_by_side(old: &str, new: &str) -> Result<String> {
    let (old, new) = (judged(old)?, judged(new)?);
    let mut text = format!("{:<78} {:>10} {:>10} {:>8}\n", "", "old", "new", "change");
    let of = |rows: &[(String, f64)], what: &str| {
        let found = rows.iter().find(|(found, _)| found == what);
        found.map(|(_, value)| *value)
    };
    let gone = old.iter().filter(|(what, _)| of(&new, what).is_none());
    for (what, _) in new.iter().chain(gone) {
        let (before, after) = (of(&old, what), of(&new, what));
        let change = match (before, after) {
            (Some(before), Some(after)) if before != 0.0 => {
                format!("{:+.1}%", (after / before - 1.0) * 100.0)
            }
            _ => String::new(),
        };
        let [before, after] = [before, after].map(|value| value.map_or_else(|| "-".to_owned(), short));
        let line = format!("{what:<78} {before:>10} {after:>10} {change:>8}");
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(text)
}

/// The name of each row and what is judged of it.
fn judged(json: &str) -> Result<Vec<(String, f64)>> {
    let json: Value = serde_json::from_str(json)?;
    let figures = json["figures"].as_array().context("not a result of --json")?;
    let mut judged = Vec::new();
    for figure in figures {
        let name = figure["name"].as_str().context("a figure without a name")?;
        for row in figure["rows"].as_array().into_iter().flatten() {
            let what = row["what"].as_str().context("a row without a name")?;
            let value = row["judged"].as_f64().context("a row without a figure")?;
            judged.push((format!("{name}: {what}"), value));
        }
    }
    Ok(judged)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::{Figure, Goal};

    #[test]
    fn the_rows_of_two_results_stand_side_by_side() {
        let result = |judged: f64, other: &str| {
            let mut figure = Figure::new("append");
            figure.alone("rows", judged, Some(Goal::AtLeast(0.5)));
            figure.alone(other, 7.0, None);
            json!({ "figures": [figure.json()] }).to_string()
        };
        let both = [result(0.4, "former"), result(0.6, "new one")];
        let text = side_by_side(&both[0], &both[1]).unwrap();
        for part in ["append: rows", "+50.0%", "append: former", "append: new one"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(side_by_side("{}", &both[0]).is_err());
    }
}
