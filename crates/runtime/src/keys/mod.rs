//! API keys: a file of hashes that may change while the program runs.

mod file;

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::{Error, Secret};
pub use file::{KeysError, line};

/// How often the file, and the clock, are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Whom a key stands for, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder<P> {
    /// What the key's name and role amount to.
    pub principal: P,
    /// Cancelled when the key expires, leaves the file, or stands for somebody else there.
    pub revoked: CancellationToken,
}

impl<P: PartialEq> Holder<P> {
    /// Whether what was granted to `self` is good for `other`.
    fn goes_on_as(&self, other: &Self) -> bool {
        self.principal == other.principal && !self.revoked.is_cancelled()
    }
}

#[derive(Clone, Debug)]
struct Key<P> {
    hash: [u8; 32],
    holder: Holder<P>,
    expires: Option<OffsetDateTime>,
}

impl<P> Key<P> {
    fn new(hash: [u8; 32], principal: P, expires: Option<OffsetDateTime>) -> Self {
        let revoked = CancellationToken::new();
        let holder = Holder { principal, revoked };
        Self {
            hash,
            holder,
            expires,
        }
    }

    fn has_expired(&self, now: OffsetDateTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// The keys that are accepted at present, each of a `P`, which is read from `NAME ROLE`. Clones share them.
#[derive(Clone, Debug)]
pub struct Keys<P> {
    file: Option<PathBuf>,
    fixed: Arc<[Key<P>]>,
    from_file: Arc<RwLock<FromFile<P>>>,
}

#[derive(Debug)]
struct FromFile<P> {
    text: String,
    keys: Vec<Key<P>>,
}

impl<P: Clone + PartialEq + FromStr<Err: Display> + Send + Sync + 'static> Keys<P> {
    /// Reads `file`, if there is one; `fixed` are keys that are in no file.
    pub fn load(file: Option<&Path>, fixed: impl IntoIterator<Item = (Secret, P)>) -> Result<Self, Error> {
        let fixed = fixed
            .into_iter()
            .map(|(secret, principal)| Key::new(hash(secret.expose()), principal, None));
        let mut text = String::new();
        let mut keys = Vec::new();
        if let Some(path) = file {
            let (setting, file) = ("TIFFIN_KEYS", path.display());
            text = fs::read_to_string(path)
                .map_err(|cause| Error::setting(setting, format_args!("cannot read {file}: {cause}")))?;
            keys = file::parse(&text)
                .map_err(|reason| Error::setting(setting, format_args!("{file}, {reason}")))?;
        }
        Ok(Self {
            file: file.map(Path::to_owned),
            fixed: fixed.collect(),
            from_file: Arc::new(RwLock::new(FromFile { text, keys })),
        })
    }

    /// Whether there is no key, not even one that has expired.
    pub fn is_empty(&self) -> bool {
        self.fixed.is_empty() && self.read().keys.is_empty()
    }

    /// Whom `secret` stands for, unless it is unknown or has expired. Takes the same time for every secret.
    pub fn holder(&self, secret: &str, now: OffsetDateTime) -> Option<Holder<P>> {
        let hash = hash(secret);
        let from_file = self.read();
        let mut found = None;
        for key in self.fixed.iter().chain(&from_file.keys) {
            let same: bool = key.hash.ct_eq(&hash).into();
            if same && !key.has_expired(now) {
                found = Some(&key.holder);
            }
        }
        found.cloned()
    }

    /// Follows the file and `clock` until `stop`, and revokes what is no longer in force. A file that cannot be read
    /// or makes no sense changes nothing and is logged.
    pub async fn follow(self, clock: impl Fn() -> OffsetDateTime + Send, stop: CancellationToken) {
        self.look_every(LOOK, clock, stop).await;
    }

    async fn look_every(
        self,
        pause: Duration,
        clock: impl Fn() -> OffsetDateTime + Send,
        stop: CancellationToken,
    ) {
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
            self.expire(clock());
        }
    }

    fn replace(&self, text: String) -> Result<bool, KeysError> {
        if self.read().text == text {
            return Ok(false);
        }
        let mut keys: Vec<Key<P>> = file::parse(&text)?;
        let mut from_file = self.from_file.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut from_file.keys).into_iter();
        let mut before: HashMap<_, _> = before.map(|key| (key.hash, key.holder)).collect();
        for key in &mut keys {
            if let Entry::Occupied(known) = before.entry(key.hash)
                && known.get().goes_on_as(&key.holder)
            {
                key.holder = known.remove();
            }
        }
        *from_file = FromFile { text, keys };
        drop(from_file);
        for holder in before.values() {
            holder.revoked.cancel();
        }
        Ok(true)
    }

    fn expire(&self, now: OffsetDateTime) {
        for key in self.read().keys.iter().filter(|key| key.has_expired(now)) {
            key.holder.revoked.cancel();
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, FromFile<P>> {
        self.from_file.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests;
