//! The settings as a command line and the environment give them.

use std::{str::FromStr, time::Duration};

use clap::{ArgAction, Args};
use http::Uri;
use serde_json::{Map, Value};

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
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        text.split(',')
            .map(origin)
            .collect::<Result<_, _>>()
            .map(Self::Only)
    }
}

/// An origin as browsers send it, which is compared to the letter.
fn origin(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_origin = text.parse::<Uri>().is_ok_and(|uri| {
        let parts = uri.scheme_str().zip(uri.authority());
        parts.is_some_and(|(scheme, authority)| format!("{scheme}://{authority}") == text)
    });
    if is_origin && !text.contains(|letter: char| letter.is_ascii_uppercase() || letter == '@') {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} is no origin such as https://shop.example or http://localhost:3000; * stands alone, and for all of them"
    ))
}

/// Limits of which there may be none at all; any other makes no sense below 1.
const MAY_BE_ZERO: [&str; 4] = ["aliases", "directives", "introspections", "variables"];

fn limits(json: &str) -> Result<Limits, String> {
    let members: Map<String, Value> = serde_json::from_str(json)
        .map_err(|_| r#"a JSON object is expected, such as {"depth": 12}"#.to_owned())?;
    for (name, value) in &members {
        let least = u64::from(!MAY_BE_ZERO.contains(&name.as_str()));
        if value.as_u64().is_none_or(|value| value < least) {
            return Err(format!("{name}: a whole number of at least {least} is expected"));
        }
    }
    let limits: Limits = serde_json::from_value(members.into()).map_err(|error| error.to_string())?;
    if limits.nesting > Limits::NESTING_AT_MOST {
        return Err(format!(
            "nesting: at most {} is possible",
            Limits::NESTING_AT_MOST
        ));
    }
    Ok(limits)
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
    fn limits_that_make_no_sense_are_refused_with_what_is_expected() {
        for (limits, expected) in [
            ("nope", "a JSON object is expected"),
            ("[]", "a JSON object is expected"),
            (
                r#"{"depth": 0}"#,
                "depth: a whole number of at least 1 is expected",
            ),
            (
                r#"{"depth": "12"}"#,
                "depth: a whole number of at least 1 is expected",
            ),
            (
                r#"{"aliases": -1}"#,
                "aliases: a whole number of at least 0 is expected",
            ),
            (r#"{"nesting": 33}"#, "nesting: at most 32 is possible"),
        ] {
            let complaint = parse(&["--query-limits", limits]).unwrap_err();
            assert!(complaint.contains(expected), "{complaint}");
        }
        assert_eq!(
            parse(&["--query-limits", r#"{"aliases": 0}"#])
                .unwrap()
                .limits
                .aliases,
            0
        );
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for wrong in [
            "",
            "not an origin",
            "shop.example",
            "https://shop.example/",
            "https://Shop.example",
            "https://a.example,*",
        ] {
            let complaint = parse(&["--origins", wrong]).unwrap_err();
            assert!(complaint.contains("such as https://shop.example"), "{complaint}");
        }
        assert!(parse(&["--origins", "http://localhost:3000"]).is_ok());
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
