//! The file of keys, one a line: `NAME ROLE SHA256 [EXPIRY]`, separated by spaces.
//!
//! The name is whom the key stands for, and several lines may share it; the hash is that of the secret, in 64
//! hexadecimal digits; the expiry is a time in RFC 3339, such as `2030-01-31T00:00:00Z`, and the key is refused from
//! then on. Empty lines, and what follows a `#`, are ignored.

use std::{collections::HashSet, fmt::Display, str::FromStr};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Key, hash};
use crate::Secret;

/// A line of a keys file makes no sense.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {reason}")]
pub struct KeysError {
    line: usize,
    reason: String,
}

/// The line of a keys file for a secret.
pub fn line(name: &str, role: impl Display, secret: &Secret) -> String {
    use std::fmt::Write;
    let mut line = format!("{name} {role} ");
    for byte in hash(secret.expose()) {
        // Writing to a string cannot fail.
        let _infallible = write!(line, "{byte:02x}");
    }
    line
}

pub(super) fn parse<P: FromStr<Err: Display>>(text: &str) -> Result<Vec<Key<P>>, KeysError> {
    let mut keys = Vec::new();
    let mut seen = HashSet::new();
    for (number, line) in text.lines().enumerate() {
        let wrong = |reason: String| KeysError {
            line: number + 1,
            reason,
        };
        let content = line.split_once('#').map_or(line, |(content, _comment)| content);
        let words: Vec<&str> = content.split_whitespace().collect();
        let (name, role, digest, expiry) = match words[..] {
            [] => continue,
            [name, role, digest] => (name, role, digest, None),
            [name, role, digest, expiry] => (name, role, digest, Some(expiry)),
            _ => return Err(wrong("expected NAME ROLE SHA256 [EXPIRY]".to_owned())),
        };
        let principal = format!("{name} {role}").parse();
        let principal = principal.map_err(|reason: P::Err| wrong(reason.to_string()))?;
        let hash = digits(digest).ok_or_else(|| wrong("the hash is not 64 hexadecimal digits".to_owned()))?;
        let expires = expiry
            .map(|text| OffsetDateTime::parse(text, &Rfc3339))
            .transpose();
        let expires =
            expires.map_err(|_| wrong("the expiry is not a time such as 2030-01-31T00:00:00Z".to_owned()))?;
        if !seen.insert(hash) {
            return Err(wrong("this key stands in an earlier line already".to_owned()));
        }
        keys.push(Key::new(hash, principal, expires));
    }
    Ok(keys)
}

fn digits(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
