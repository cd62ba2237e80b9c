//! What services say of themselves at `/metrics`.

use anyhow::{Context, Result, ensure};
use tiffin_testkit::Service;

/// The values that these services have of a metric, one for each set of labels.
///
/// # Errors
/// A service does not answer, or none has the metric: that is not a value of zero.
pub(crate) async fn values(services: &[&Service], name: &str) -> Result<Vec<f64>> {
    let mut values = Vec::new();
    for service in services {
        values.extend(found(&service.metrics().await?, name)?);
    }
    ensure!(!values.is_empty(), "no service has the metric {name}");
    Ok(values)
}

fn found(text: &str, name: &str) -> Result<Vec<f64>> {
    let samples = text.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with([' ', '{']))
    });
    samples
        .map(|line| {
            let value = line.rsplit_once(' ').context("a metric without a value")?.1;
            value.parse().with_context(|| format!("no number: {line}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_with_and_without_labels_and_no_other_of_a_longer_name() {
        let text = "# HELP lag How far\nlag 1.5\nlag{name=\"a b\"} 2\nlag_events 7\n";
        assert_eq!(found(text, "lag").unwrap(), [1.5, 2.0]);
        assert!(found(text, "la").unwrap().is_empty());
        assert!(found("lag x", "lag").is_err());
    }
}
