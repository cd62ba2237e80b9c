//! What was measured, and on what.

use std::{env, fs, path::Path, process::Command, thread};

use serde_json::{Value, json};
use tiffin_testkit::{nats_server, postgres_tool, workspace};

/// The machine, the versions and the commit.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    cores: usize,
    processor: String,
    memory: String,
    kernel: String,
    nats: String,
    postgres: String,
    commit: String,
    /// Of the bench, which holds the appends and sagas, and of the services.
    profiles: [String; 2],
}

impl Machine {
    /// Looks at this machine.
    pub(crate) fn look() -> Self {
        let git = workspace().join(".git");
        let git = git.to_string_lossy();
        let changed = said(
            "git",
            &["-C", &workspace().to_string_lossy(), "status", "--porcelain"],
        );
        let commit = said("git", &["--git-dir", &git, "rev-parse", "--short", "HEAD"]);
        Self {
            cores: thread::available_parallelism().map_or(0, usize::from),
            processor: line("/proc/cpuinfo", "model name"),
            memory: line("/proc/meminfo", "MemTotal"),
            kernel: said("uname", &["-sr"]),
            nats: said(&nats_server().to_string_lossy(), &["--version"]),
            postgres: said(&postgres_tool("postgres").to_string_lossy(), &["--version"]),
            commit: if changed.is_empty() {
                commit
            } else {
                format!("{commit} and changes")
            },
            profiles: [
                env::current_exe()
                    .ok()
                    .and_then(|program| profile(program.parent()?)),
                // Without it they are built as the tests are.
                env::var_os("TIFFIN_BIN")
                    .map_or(Some("debug".to_owned()), |folder| profile(Path::new(&folder))),
            ]
            .map(|profile| profile.unwrap_or_else(|| "unknown".to_owned())),
        }
    }

    /// As lines.
    pub(crate) fn text(&self) -> String {
        format!(
            "{} cores, {}, {}, {}\n{}, {}\ncommit {}, bench built as {}, services as {}{}\n",
            self.cores,
            self.processor,
            self.memory,
            self.kernel,
            self.nats,
            self.postgres,
            self.commit,
            self.profiles[0],
            self.profiles[1],
            if self.profiles.iter().any(|profile| profile == "debug") {
                ": say nothing by these figures"
            } else {
                ""
            }
        )
    }

    /// As JSON.
    pub(crate) fn json(&self) -> Value {
        json!({
            "cores": self.cores,
            "processor": self.processor,
            "memory": self.memory,
            "kernel": self.kernel,
            "nats": self.nats,
            "postgres": self.postgres,
            "commit": self.commit,
            "profile": self.profiles[0],
            "services": self.profiles[1],
        })
    }
}

/// The profile that programs were built with, which their folder is named after.
fn profile(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    Some(folder.file_name()?.to_string_lossy().into_owned())
}

/// What a program prints; nothing if it cannot be started.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}

/// What stands after the colon of the first line that begins with `name`.
fn line(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}
