//! The settings of `orders`.

use std::{fs, path::PathBuf};

use clap::Args;
use tiffin_order::Workflow;
use tiffin_runtime::Error;

/// The workflow that orders are started under.
#[derive(Clone, Debug, Args)]
pub struct SagaSettings {
    /// A `saga.toml` with the steps of every order and how long each waits; without it 30, 5, 10 and 15 seconds.
    #[arg(long, env = "TIFFIN_SAGA", value_name = "PATH")]
    pub saga: Option<PathBuf>,
    /// Divides every wait: 10 is ten times faster.
    #[arg(long, env = "TIFFIN_SPEED", value_name = "FACTOR", default_value = "1", value_parser = speed)]
    pub speed: f64,
}

impl SagaSettings {
    /// Reads the workflow.
    pub fn config(&self) -> Result<Config, Error> {
        let Some(path) = &self.saga else {
            return Ok(Config {
                speed: self.speed,
                ..Config::default()
            });
        };
        let file = path.display();
        let text = fs::read_to_string(path)
            .map_err(|error| Error::setting("TIFFIN_SAGA", format_args!("cannot read {file}: {error}")))?;
        let workflow = Workflow::parse(&text)
            .map_err(|error| Error::setting("TIFFIN_SAGA", format_args!("{file}, {error}")))?;
        Ok(Config {
            workflow,
            speed: self.speed,
            ..Config::default()
        })
    }
}

/// What can be set about `orders`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The workflow that new orders are started under, at its own pace.
    pub workflow: Workflow,
    /// Divides every wait.
    pub speed: f64,
    /// On how many NATS servers the stream of changes is kept: 1, or 3 in a cluster.
    pub stream_replicas: usize,
    /// How many orders are worked on at a time; more wait.
    pub in_flight: usize,
    /// How many orders' states are kept in memory.
    pub cached: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workflow: Workflow::parse(include_str!("../../../saga.toml"))
                .expect("the default workflow makes sense"),
            speed: 1.0,
            stream_replicas: 1,
            in_flight: 1024,
            cached: 20_000,
        }
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if speed > 0.0 && f64::is_finite(speed) => Ok(speed),
        _ => Err("not a number above 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saga_that_makes_no_sense_is_answered_with_its_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("saga.toml");
        fs::write(
            &path,
            "[[step]]\nname = \"baking\"\nkind = \"wait\"\nwait = \"1s\"\n",
        )
        .unwrap();
        let error = SagaSettings {
            saga: Some(path.clone()),
            speed: 1.0,
        }
        .config()
        .unwrap_err()
        .to_string();
        let expected = format!(
            "TIFFIN_SAGA: {}, line 2: there is no step \"baking\"",
            path.display()
        );
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn a_speed_is_a_positive_number() {
        assert_eq!(speed("2.5"), Ok(2.5));
        for wrong in ["0", "-1", "NaN", "inf", "fast", ""] {
            assert!(speed(wrong).is_err(), "{wrong}");
        }
    }
}
