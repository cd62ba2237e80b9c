//! Finds the programs that tests need; a missing one fails the test and says how to get it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The folder of the workspace.
pub fn workspace() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        here.ancestors()
            .nth(2)
            .expect("the crate lies two folders below the workspace")
            .to_owned()
    })
}

/// A `nats-server` of version 2.14 or later: that on the `PATH`, else that in `.tools`.
pub fn nats_server() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let candidates = ["nats-server".into(), workspace().join(".tools/nats-server")];
        let good = |program: &PathBuf| nats_version(program).is_some_and(|version| version >= (2, 14));
        candidates
            .into_iter()
            .find(good)
            .unwrap_or_else(|| missing("nats-server 2.14 or later"))
    })
}

/// The `nats` command line client: that in `.tools`, else that on the `PATH`.
pub fn nats_cli() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let candidates = [workspace().join(".tools/nats"), "nats".into()];
        let good = |program: &PathBuf| output(program, "--version").is_some();
        candidates
            .into_iter()
            .find(good)
            .unwrap_or_else(|| missing("the nats command line client"))
    })
}

/// A program of PostgreSQL 15 or later, such as `initdb`.
pub fn postgres_tool(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let good = |folder: &PathBuf| {
            folder.join("initdb").exists() && postgres_version(folder).is_some_and(|version| version >= 15)
        };
        postgres_folders()
            .into_iter()
            .find(good)
            .unwrap_or_else(|| missing("PostgreSQL 15 or later"))
    });
    folder.join(name)
}

/// `prometheus` or `promtool`, on the `PATH`.
pub fn prometheus_tool(name: &'static str) -> &'static Path {
    let program = Path::new(name);
    if output(program, "--version").is_none() {
        missing("Prometheus, with promtool");
    }
    program
}

/// Where PostgreSQL's programs may lie, the likeliest first.
fn postgres_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = output(Path::new("pg_config"), "--bindir")
        .map(|folder| folder.trim().into())
        .into_iter()
        .collect();
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    debian.sort();
    folders.extend(debian.into_iter().rev());
    folders
}

fn postgres_version(folder: &Path) -> Option<u32> {
    // "postgres (PostgreSQL) 15.14 (Debian …)"
    let text = output(&folder.join("postgres"), "--version")?;
    text.split_whitespace()
        .nth(2)?
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

fn nats_version(program: &Path) -> Option<(u32, u32)> {
    // "nats-server: v2.15.1"
    let text = output(program, "--version")?;
    let mut numbers = text.trim().split_once(": v")?.1.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn output(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn missing(what: &str) -> ! {
    panic!("this test needs {what}, which is not here; `make tools` provides it")
}
