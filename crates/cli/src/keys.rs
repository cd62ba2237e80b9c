//! `tiffin keys`: makes API keys.

use clap::Subcommand;
use rand::{RngExt, distr::Alphanumeric};
use serde_json::json;
use tiffin_graphql::Role;
use tiffin_runtime::{Secret, keys::line};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{failure::Failure, output};

/// How many letters and digits a new key has: 190 bits.
const LENGTH: usize = 32;
/// Whom the keys stand for that are named by settings of their own.
const OWNERS: [&str; 2] = ["customer", "operator"];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a key: prints it, which happens only once, and then the line to add to the file that `TIFFIN_KEYS` names.
    New {
        /// Whom the key stands for; several keys may have the same name, and then reach the same orders.
        #[arg(value_parser = name)]
        name: String,
        /// What the key may do: customer, kitchen, courier, operator or service.
        #[arg(long)]
        role: Role,
        /// When the key ceases to be accepted, as in 2030-01-31T00:00:00Z.
        #[arg(long, value_name = "TIME", value_parser = expiry)]
        expires: Option<String>,
    },
}

pub(crate) fn run(command: &Command, json: bool) -> Result<(), Failure> {
    let Command::New { name, role, expires } = command;
    let key = new_key();
    let mut line = line(name, role, &key);
    if let Some(expires) = expires {
        line = format!("{line} {expires}");
    }
    if json {
        return output::line(json!({ "key": key.expose(), "line": line }));
    }
    if OWNERS.contains(&name.as_str()) {
        output::say(format!(
            "TIFFIN_API_KEY or TIFFIN_OPERATOR_KEY stands for {name:?}, too: this key reaches the same orders."
        ));
    }
    output::say("The key, which is not shown again:");
    output::line(key.expose())?;
    output::say("The line for the file that TIFFIN_KEYS names:");
    output::line(line)
}

/// A key that nobody can guess; the prefix lets scanners for leaked secrets find it.
pub(crate) fn new_key() -> Secret {
    let letters = rand::rng().sample_iter(Alphanumeric).take(LENGTH).map(char::from);
    Secret::new(format!("tiffin_{}", letters.collect::<String>()))
}

fn name(text: &str) -> Result<String, String> {
    let good = |c: char| !c.is_whitespace() && !c.is_control() && c != '#';
    if text.is_empty() {
        return Err("a name has at least one character".to_owned());
    }
    if !text.chars().all(good) {
        return Err("a name has no spaces and no #".to_owned());
    }
    Ok(text.to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a key is made without a database, and this is no more than a check for slips"
)]
fn expiry(text: &str) -> Result<String, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "not a time; write it as 2030-01-31T00:00:00Z".to_owned())?;
    if time <= OffsetDateTime::now_utc() {
        return Err("this time is over, and nothing would accept the key".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ() {
        assert_ne!(new_key(), new_key());
        assert_eq!(new_key().expose().len(), "tiffin_".len() + LENGTH);
    }

    #[test]
    fn a_name_cannot_break_its_line() {
        assert!(name("the-shop").is_ok());
        for wrong in ["", "the shop", "shop#1", "shop\n"] {
            assert!(name(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_key_expires_at_a_time_to_come() {
        assert!(expiry("9999-01-31T00:00:00Z").is_ok());
        for wrong in ["tomorrow", "2030-01-31", ""] {
            assert!(
                expiry(wrong).unwrap_err().contains("2030-01-31T00:00:00Z"),
                "{wrong:?}"
            );
        }
        assert!(expiry("2020-01-01T00:00:00Z").unwrap_err().contains("over"));
    }
}
