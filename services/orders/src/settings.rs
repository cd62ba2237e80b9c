//! The settings of the program `tiffin-orders`.

use std::{fs, ops::RangeInclusive, path::PathBuf};

use clap::{Args, Parser};
use tiffin_order::Workflow;
use tiffin_platform::PlatformSettings;
use tiffin_runtime::{Common, Error};

use crate::Config;

/// Carries orders through their workflow, and publishes how they change.
///
/// Each setting is also read from its environment variable, or from the file that the variable with the suffix _FILE
/// names. `tiffin-orders healthcheck` asks the one that runs here whether it is ready.
#[derive(Clone, Debug, Parser)]
#[command(name = "tiffin-orders", version)]
pub struct Settings {
    /// What all services have.
    #[command(flatten)]
    pub platform: PlatformSettings,
    /// The workflow.
    #[command(flatten)]
    pub saga: SagaSettings,
}

impl tiffin_runtime::Settings for Settings {
    fn common(&self) -> &Common {
        &self.platform.common
    }
}

/// The workflow that orders are started under.
#[derive(Clone, Debug, Args)]
pub struct SagaSettings {
    /// A `saga.toml` with the steps of every order and how long each waits; without it 30, 5, 10 and 15 seconds.
    #[arg(long, env = "TIFFIN_SAGA", value_name = "PATH")]
    pub saga: Option<PathBuf>,
    /// Divides every wait: 10 is ten times faster. From 0.001 to 1000000.
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

/// The longest wait of a `saga.toml`, 30 days, takes 82 years at the lowest.
const SPEEDS: RangeInclusive<f64> = 0.001..=1_000_000.0;

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if SPEEDS.contains(&speed) => Ok(speed),
        _ => Err(format!(
            "not a number from {} to {}",
            SPEEDS.start(),
            SPEEDS.end()
        )),
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
    fn a_speed_is_a_number_from_a_thousandth_to_a_million() {
        for (text, number) in [("2.5", 2.5), ("0.001", 0.001), ("1000000", 1e6)] {
            assert_eq!(speed(text), Ok(number));
        }
        let message = "not a number from 0.001 to 1000000";
        for wrong in ["0", "-1", "1e-11", "0.0009", "1000001", "NaN", "inf", "fast", ""] {
            assert_eq!(speed(wrong), Err(message.to_owned()), "{wrong}");
        }
    }
}
