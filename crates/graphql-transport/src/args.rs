//! The settings as a command line and the environment give them.

use std::{convert::Infallible, str::FromStr, time::Duration};

use clap::{ArgAction, Args};

use crate::{
    limits::Limits,
    settings::{Origins, Settings},
};

/// What an operator may set about the transports.
#[derive(Clone, Debug, Args)]
pub struct SettingsArgs {
    /// The query limits that are not to be the defaults, as JSON, such as `{"depth": 12, "body_bytes": 32768}`.
    #[arg(long, env = "TIFFIN_QUERY_LIMITS", value_name = "JSON", default_value = "{}", value_parser = limits)]
    pub query_limits: Limits,
    /// Whether questions about the schema are answered.
    #[arg(
        long,
        env = "TIFFIN_INTROSPECTION",
        value_name = "BOOLEAN",
        default_value_t = true,
        action = ArgAction::Set
    )]
    pub introspection: bool,
    /// Whose pages may ask from a browser: `*`, or origins such as `https://shop.example`, separated by commas.
    #[arg(long, env = "TIFFIN_ORIGINS", value_name = "ORIGINS", default_value = "*")]
    pub origins: Origins,
    /// How long a query or mutation may take, in seconds.
    #[arg(long, env = "TIFFIN_REQUEST_TIMEOUT", value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub request_timeout: Duration,
}

impl From<SettingsArgs> for Settings {
    fn from(args: SettingsArgs) -> Self {
        Self {
            limits: args.query_limits,
            introspection: args.introspection,
            origins: args.origins,
            request_timeout: args.request_timeout,
            ..Self::default()
        }
    }
}

impl FromStr for Origins {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let known = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        Ok(match text.trim() {
            "*" => Self::Any,
            _ => Self::Only(known.map(str::to_owned).collect()),
        })
    }
}

fn limits(json: &str) -> Result<Limits, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=60) => Ok(Duration::from_secs(seconds)),
        _ => Err("not a number of seconds from 1 to 60".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        settings: SettingsArgs,
    }

    fn parse(arguments: &[&str]) -> Result<Settings, String> {
        let program = Program::try_parse_from(["program"].iter().chain(arguments));
        program
            .map(|it| it.settings.into())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn without_arguments_the_settings_are_the_defaults() {
        let (parsed, default) = (parse(&[]).unwrap(), Settings::default());
        assert_eq!(format!("{parsed:?}"), format!("{default:?}"));
    }

    #[test]
    fn a_limit_that_is_named_is_the_only_one_that_changes() {
        let parsed = parse(&["--query-limits", r#"{"depth": 12}"#]).unwrap();
        assert_eq!(
            parsed.limits,
            Limits {
                depth: 12,
                ..Limits::default()
            }
        );
    }

    #[test]
    fn a_limit_that_does_not_exist_is_named() {
        let complaint = parse(&["--query-limits", r#"{"dephts": 12}"#]).unwrap_err();
        assert!(complaint.contains("dephts"), "{complaint}");
    }

    #[test]
    fn introspection_can_be_switched_off_and_origins_be_chosen() {
        let arguments = [
            "--introspection",
            "false",
            "--origins",
            "https://a.example, https://b.example",
        ];
        let parsed = parse(&arguments).unwrap();
        assert!(!parsed.introspection);
        let origins = ["https://a.example", "https://b.example"].map(str::to_owned);
        assert_eq!(parsed.origins, Origins::Only(origins.to_vec()));
    }
}
