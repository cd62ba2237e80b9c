//! Finds a nats-server that is new enough.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use tiffin_bus::OLDEST_SERVER;
use tiffin_runtime::Error;

/// The first nats-server that is new enough: on the `PATH`, in a folder `.tools` of the current folder or above it, or
/// beside or above this program.
pub(super) fn nats_server() -> Result<PathBuf, Error> {
    choose(candidates(), version)
}

fn candidates() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("nats-server")];
    let tools = |folder: &Path| folder.join(".tools/nats-server");
    if let Ok(here) = env::current_dir() {
        found.extend(here.ancestors().map(tools));
    }
    if let Ok(program) = env::current_exe() {
        found.push(program.with_file_name("nats-server"));
        found.extend(program.ancestors().skip(1).map(tools));
    }
    found
}

fn choose(
    candidates: Vec<PathBuf>,
    version: impl Fn(&Path) -> Option<(u64, u64, String)>,
) -> Result<PathBuf, Error> {
    let mut too_old = None;
    for candidate in candidates {
        match version(&candidate) {
            Some((major, minor, _)) if (major, minor) >= OLDEST_SERVER => return Ok(candidate),
            Some((_, _, text)) => _ = too_old.get_or_insert((candidate, text)),
            None => {}
        }
    }
    let (major, minor) = OLDEST_SERVER;
    let advice = format!(
        "{major}.{minor} or later is needed: put one on the PATH, let `make run` get one, or set TIFFIN_NATS_URL"
    );
    Err(Error::Setting(match too_old {
        Some((path, text)) => format!("nats-server {text} ({}) is too old; {advice}", path.display()),
        None => format!("there is no nats-server; {advice}"),
    }))
}

/// What the program says of itself: `nats-server: v2.15.1`.
fn version(program: &Path) -> Option<(u64, u64, String)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    parse(&String::from_utf8_lossy(&output.stdout))
}

fn parse(text: &str) -> Option<(u64, u64, String)> {
    let text = text.trim().split_once(": v")?.1;
    let mut numbers = text.split('.');
    Some((
        numbers.next()?.parse().ok()?,
        numbers.next()?.parse().ok()?,
        text.to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(versions: &[(&str, &str)]) -> Result<PathBuf, String> {
        let paths = versions.iter().map(|(path, _)| PathBuf::from(path)).collect();
        let version = |asked: &Path| {
            let said = versions.iter().find(|(path, _)| Path::new(path) == asked)?.1;
            parse(&format!("nats-server: v{said}\n"))
        };
        choose(paths, version).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_that_is_new_enough_is_chosen() {
        assert_eq!(
            chosen(&[("old", "2.9.25"), ("good", "2.14.0"), ("newer", "2.15.1")]),
            Ok("good".into())
        );
        assert_eq!(chosen(&[("next", "3.0.0-preview.1")]), Ok("next".into()));
    }

    #[test]
    fn what_is_too_old_is_named_with_its_version() {
        let error = chosen(&[("/bin/nats-server", "2.9.25")]).unwrap_err();
        assert!(
            error.starts_with("nats-server 2.9.25 (/bin/nats-server) is too old; 2.14 or later is needed"),
            "{error}"
        );
        assert!(
            chosen(&[])
                .unwrap_err()
                .starts_with("there is no nats-server; 2.14 or later is needed")
        );
    }
}
