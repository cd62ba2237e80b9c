//! API keys: a file of hashes that may change while the program runs.
//!
//! One key a line: `NAME ROLE SHA256 [EXPIRY]`, separated by spaces. The name is whom the key stands for, and several
//! lines may share it; the hash is that of the secret, in 64 hexadecimal digits; the expiry is a time in RFC 3339, such
//! as `2030-01-31T00:00:00Z`, and the key is refused from then on. Empty lines, and what follows a `#`, are ignored.

use std::{
    collections::HashSet,
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Error, Secret};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Whom a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder<R> {
    /// The name.
    pub name: Arc<str>,
    /// What the holder may do.
    pub role: R,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key<R> {
    hash: [u8; 32],
    holder: Holder<R>,
    expires: Option<OffsetDateTime>,
}

/// The keys that are accepted at present. Clones share them.
#[derive(Clone, Debug)]
pub struct Keys<R> {
    file: Option<PathBuf>,
    fixed: Arc<[Key<R>]>,
    from_file: Arc<RwLock<FromFile<R>>>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct FromFile<R> {
    text: String,
    keys: Vec<Key<R>>,
}

/// A line of a keys file makes no sense.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {reason}")]
pub struct KeysError {
    line: usize,
    reason: String,
}

impl<R: Clone + FromStr<Err: Display> + Send + Sync + 'static> Keys<R> {
    /// Reads `file`, if there is one; `fixed` are keys that are in no file, as secret, name and role.
    pub fn load(
        file: Option<&Path>,
        fixed: impl IntoIterator<Item = (Secret, &'static str, R)>,
    ) -> Result<Self, Error> {
        let fixed = fixed.into_iter().map(|(secret, name, role)| Key {
            hash: hash(secret.expose()),
            holder: Holder {
                name: name.into(),
                role,
            },
            expires: None,
        });
        let mut text = String::new();
        let mut keys = Vec::new();
        if let Some(path) = file {
            text = fs::read_to_string(path).map_err(|cause| Error::File {
                path: path.to_owned(),
                cause,
            })?;
            keys = parse(&text).map_err(|reason| Error::setting(path.display(), reason))?;
        }
        Ok(Self {
            file: file.map(Path::to_owned),
            fixed: fixed.collect(),
            from_file: Arc::new(RwLock::new(FromFile { text, keys })),
            changes: watch::Sender::new(0),
        })
    }

    /// Whom `secret` stands for, unless it is unknown or has expired. Takes the same time for every secret.
    pub fn holder(&self, secret: &str, now: OffsetDateTime) -> Option<Holder<R>> {
        let hash = hash(secret);
        let from_file = self.from_file.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        for key in self.fixed.iter().chain(&from_file.keys) {
            let same: bool = key.hash.ct_eq(&hash).into();
            if same && key.expires.is_none_or(|expires| now < expires) {
                found = Some(&key.holder);
            }
        }
        found.cloned()
    }

    /// Rises with each change of the file, so that what was allowed before can be looked at again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Follows the file until `stop`. A file that cannot be read or makes no sense changes nothing and is logged.
    pub async fn follow(self, stop: CancellationToken) {
        self.look_every(LOOK, stop).await;
    }

    async fn look_every(self, pause: Duration, stop: CancellationToken) {
        let Some(path) = self.file.clone() else {
            return stop.cancelled().await;
        };
        let mut complained = None;
        while stop
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_some()
        {
            let read = tokio::fs::read_to_string(&path)
                .await
                .map_err(|error| error.to_string());
            match read.and_then(|text| self.replace(text).map_err(|error| error.to_string())) {
                Ok(changed) => {
                    if changed {
                        tracing::info!(file = %path.display(), "read the keys again");
                    }
                    complained = None;
                }
                Err(reason) if complained.as_ref() != Some(&reason) => {
                    tracing::error!(file = %path.display(), reason, "cannot read the keys; the old ones stay in force");
                    complained = Some(reason);
                }
                Err(_) => {}
            }
        }
    }

    fn replace(&self, text: String) -> Result<bool, KeysError> {
        if self.from_file.read().unwrap_or_else(PoisonError::into_inner).text == text {
            return Ok(false);
        }
        let keys = parse(&text)?;
        *self.from_file.write().unwrap_or_else(PoisonError::into_inner) = FromFile { text, keys };
        self.changes.send_modify(|count| *count += 1);
        Ok(true)
    }
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

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn parse<R: FromStr<Err: Display>>(text: &str) -> Result<Vec<Key<R>>, KeysError> {
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
        let role = role
            .parse()
            .map_err(|reason: R::Err| wrong(format!("role {role}: {reason}")))?;
        let hash = digits(digest).ok_or_else(|| wrong("the hash is not 64 hexadecimal digits".to_owned()))?;
        let expires = expiry
            .map(|text| OffsetDateTime::parse(text, &Rfc3339))
            .transpose();
        let expires = expires.map_err(|reason| wrong(format!("expiry: {reason}")))?;
        if !seen.insert(hash) {
            return Err(wrong("this key stands in an earlier line already".to_owned()));
        }
        keys.push(Key {
            hash,
            holder: Holder {
                name: name.into(),
                role,
            },
            expires,
        });
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

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2030-01-01 00:00:00 UTC);

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Role(String);

    impl FromStr for Role {
        type Err = &'static str;

        fn from_str(text: &str) -> Result<Self, Self::Err> {
            if text == "king" {
                Err("there is no such role")
            } else {
                Ok(Self(text.to_owned()))
            }
        }
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text)
    }

    fn wrong(text: &str) -> String {
        parse::<Role>(text).unwrap_err().to_string()
    }

    #[test]
    fn a_line_as_printed_is_a_line_as_read() {
        let text = format!(
            "# who\n\n{} # the shop\n",
            line("shop", "customer", &secret("one"))
        );
        let keys = parse::<Role>(&text).unwrap();
        assert_eq!(keys[0].hash, hash("one"));
        assert_eq!(
            keys[0].holder,
            Holder {
                name: "shop".into(),
                role: Role("customer".into())
            }
        );
    }

    #[test]
    fn a_key_is_accepted_until_it_expires() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!(
            "{} 2030-01-01T00:00:01Z\n",
            line("shop", "customer", &secret("one"))
        );
        fs::write(file.path(), text).unwrap();
        let keys = Keys::load(
            Some(file.path()),
            [(secret("two"), "operator", Role("operator".into()))],
        )
        .unwrap();
        assert_eq!(&*keys.holder("one", NOW).unwrap().name, "shop");
        assert_eq!(keys.holder("one", NOW + Duration::from_secs(1)), None);
        assert_eq!(&*keys.holder("two", NOW).unwrap().name, "operator");
        assert_eq!(keys.holder("three", NOW), None);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        assert_eq!(
            wrong("\nshop customer"),
            "line 2: expected NAME ROLE SHA256 [EXPIRY]"
        );
        assert_eq!(
            wrong("shop customer 12"),
            "line 1: the hash is not 64 hexadecimal digits"
        );
        let good = line("shop", "customer", &secret("one"));
        assert_eq!(
            wrong(&good.replace("customer", "king")),
            "line 1: role king: there is no such role"
        );
        assert!(wrong(&format!("{good} tomorrow")).starts_with("line 1: expiry: "));
        assert_eq!(
            wrong(&format!("{good}\n{good}")),
            "line 2: this key stands in an earlier line already"
        );
    }

    #[tokio::test]
    async fn a_changed_file_is_read_again_and_a_broken_one_changes_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), line("shop", "customer", &secret("one"))).unwrap();
        let keys: Keys<Role> = Keys::load(Some(file.path()), []).unwrap();
        let stop = CancellationToken::new();
        let following = tokio::spawn(keys.clone().look_every(Duration::from_millis(5), stop.clone()));
        let mut changes = keys.changes();

        fs::write(file.path(), line("shop", "customer", &secret("two"))).unwrap();
        tokio::time::timeout(Duration::from_secs(5), changes.changed())
            .await
            .unwrap()
            .unwrap();
        assert!(keys.holder("two", NOW).is_some());
        assert_eq!(keys.holder("one", NOW), None);

        fs::write(file.path(), "rubbish").unwrap();
        let in_vain = tokio::time::timeout(Duration::from_millis(200), changes.changed());
        assert!(in_vain.await.is_err());
        assert!(keys.holder("two", NOW).is_some());

        stop.cancel();
        following.await.unwrap();
    }
}
