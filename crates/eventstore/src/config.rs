//! Where the log is.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use sqlx::postgres::PgConnectOptions;

/// A database, as in `sqlite:DIR` or `postgres://user@host/name`.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A data folder with `log.db` and a `<schema>.db` for each derived schema; for one process.
    Sqlite(PathBuf),
    /// A connection string.
    Postgres(String),
}

/// A text that names no database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "write postgres://USER@HOST/DATABASE, or sqlite:FOLDER; in a password, percent-encode what is no letter or digit"
)]
pub struct NotADatabaseUrl;

impl FromStr for DatabaseUrl {
    type Err = NotADatabaseUrl;

    fn from_str(text: &str) -> Result<Self, NotADatabaseUrl> {
        if let Some(folder) = text.strip_prefix("sqlite:") {
            let folder = folder.strip_prefix("//").unwrap_or(folder);
            return if folder.is_empty() {
                Err(NotADatabaseUrl)
            } else {
                Ok(Self::Sqlite(folder.into()))
            };
        }
        if text.starts_with("postgres:") || text.starts_with("postgresql:") {
            let options = PgConnectOptions::from_str(text).map_err(|_no_url| NotADatabaseUrl)?;
            // A password with `/` or `#` in it ends the host where nobody meant it to end.
            let split = options
                .get_database()
                .is_some_and(|database| database.contains('@'));
            return if split || text.contains('#') {
                Err(NotADatabaseUrl)
            } else {
                Ok(Self::Postgres(text.to_owned()))
            };
        }
        Err(NotADatabaseUrl)
    }
}

/// Where it is, for people: without user, password and parameters.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(folder) => write!(f, "sqlite:{}", folder.display()),
            Self::Postgres(url) => match PgConnectOptions::from_str(url) {
                Ok(options) => {
                    let (host, port) = (options.get_host(), options.get_port());
                    write!(
                        f,
                        "postgres://{host}:{port}/{}",
                        options.get_database().unwrap_or_default()
                    )
                }
                Err(_no_url) => f.write_str("postgres:…"),
            },
        }
    }
}

/// Without the password.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(folder) => write!(f, "sqlite:{}", folder.display()),
            Self::Postgres(_) => f.write_str("postgres:…"),
        }
    }
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Config {
    /// The database.
    pub url: DatabaseUrl,
    /// How often the log is looked at for what nobody announced: other processes' commits, another log.
    pub poll: Duration,
    /// The most bytes of the newest events kept in memory for subscriptions.
    pub tail_bytes: usize,
}

impl Config {
    /// The defaults: poll 500 ms, 32 MiB of tail.
    pub fn new(url: DatabaseUrl) -> Self {
        Self {
            url,
            poll: Duration::from_millis(500),
            tail_bytes: 32 * 1024 * 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_by_its_url() {
        assert_eq!("sqlite:./data".parse(), Ok(DatabaseUrl::Sqlite("./data".into())));
        assert_eq!(
            "sqlite:///var/tiffin".parse(),
            Ok(DatabaseUrl::Sqlite("/var/tiffin".into()))
        );
        assert_eq!(
            "postgres://a@b/c".parse(),
            Ok(DatabaseUrl::Postgres("postgres://a@b/c".into()))
        );
        assert_eq!("mysql://a@b/c".parse::<DatabaseUrl>(), Err(NotADatabaseUrl));
        assert_eq!("sqlite:".parse::<DatabaseUrl>(), Err(NotADatabaseUrl));
    }

    #[test]
    fn a_password_that_ends_the_host_is_refused_and_a_percent_encoded_one_is_not() {
        for password in ["p@ss/w", "p#ss", "p#ss?x", "p?ss"] {
            let url = format!("postgres://a:{password}@b:5432/c");
            assert_eq!(url.parse::<DatabaseUrl>(), Err(NotADatabaseUrl), "{password}");
        }
        assert!("postgres://a:p%40ss%2Fw@b:5432/c".parse::<DatabaseUrl>().is_ok());
    }

    #[test]
    fn a_password_is_not_shown() {
        let url = DatabaseUrl::Postgres("postgres://a:secret@b/c?password=secret".into());
        assert!(!format!("{url:?}").contains("secret"));
        assert_eq!(url.to_string(), "postgres://b:5432/c");
    }
}
