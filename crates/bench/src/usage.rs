//! CPU time, bytes written and memory of processes, from `/proc`.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::param::clock_ticks_per_second;
use tiffin_eventstore::DatabaseUrl;

/// The processes whose cost counts: each with its children.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    roots: Vec<u32>,
    /// Where the WAL of SQLite's log is.
    wal: Option<PathBuf>,
}

/// What they have used up to now, or between two moments.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Bytes handed to the disk.
    pub(crate) written: u64,
    /// The largest resident memory that each had so far, added up.
    pub(crate) peak: u64,
    /// The resident memory now.
    pub(crate) resident: u64,
}

impl Watched {
    /// This process alone: a subject that runs in it, its load included.
    pub(crate) fn this() -> Self {
        Self::none().and(Some(process::id()))
    }

    /// No process yet.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// And another process, with its children.
    #[must_use]
    pub(crate) fn and(mut self, root: Option<u32>) -> Self {
        self.roots.extend(root);
        self
    }

    /// And the WAL of this log, if it is SQLite's.
    #[must_use]
    pub(crate) fn and_log(mut self, url: &DatabaseUrl) -> Self {
        if let DatabaseUrl::Sqlite(folder) = url {
            self.wal = Some(folder.join("log.db-wal"));
        }
        self
    }

    /// Where the log's WAL is; none where the log is not SQLite's.
    pub(crate) fn wal(&self) -> Option<&Path> {
        self.wal.as_deref()
    }

    /// Whether this process, which is load and floor too, is not among them.
    pub(crate) fn apart(&self) -> bool {
        !self.roots.contains(&process::id())
    }

    /// What they have used.
    ///
    /// # Errors
    /// One of them has ended, or cannot be looked at.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let all = Stat::all();
        let mut usage = Usage::default();
        for root in &self.roots {
            let stat = all.get(root).filter(|stat| stat.lives);
            let stat = stat.with_context(|| format!("the process {root} has ended, whose cost counts"))?;
            usage.add(*root, stat)?;
            // The bench's own children are the servers, which are named on their own.
            if *root == process::id() {
                continue;
            }
            for (child, stat) in all.iter().filter(|(_, stat)| stat.parent == *root && stat.lives) {
                let added = usage.add(*child, stat);
                // A child that was waited for meanwhile stands in its parent's account.
                let ended = Stat::of(*child).is_none_or(|stat| !stat.lives) || has_no_memory(*child);
                ensure!(added.is_ok() || ended, "{added:?}");
            }
        }
        if !self.apart() {
            usage.cpu = usage.cpu.saturating_sub(Stat::waited_for_by_this());
        }
        Ok(usage)
    }
}

impl Usage {
    fn add(&mut self, id: u32, stat: &Stat) -> Result<()> {
        let written = number(&format!("/proc/{id}/io"), "write_bytes:")?;
        let status = format!("/proc/{id}/status");
        let (peak, resident) = (number(&status, "VmHWM:")?, number(&status, "VmRSS:")?);
        self.cpu += stat.own + stat.waited_for;
        self.written += written;
        self.peak += peak * 1024;
        self.resident += resident * 1024;
        Ok(())
    }

    /// What was used after `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            written: self.written.saturating_sub(before.written),
            ..self
        }
    }
}

/// The parts of `/proc/ID/stat` that matter here.
struct Stat {
    lives: bool,
    parent: u32,
    own: Duration,
    waited_for: Duration,
}

impl Stat {
    fn all() -> HashMap<u32, Self> {
        let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        ids.filter_map(|id| Some((id, Self::of(id)?))).collect()
    }

    /// `None` if there is no such process any more.
    fn of(id: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name, which may hold anything, ends at the last parenthesis; state is field 3, the parent field 4.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let time = |ticks: u64| Duration::from_micros(ticks * 1_000_000 / clock_ticks_per_second());
        Some(Self {
            lives: !matches!(*fields.first()?, "Z" | "X"),
            parent: fields.get(1)?.parse().ok()?,
            own: time(ticks(14)? + ticks(15)?),
            waited_for: time(ticks(16)? + ticks(17)?),
        })
    }

    fn waited_for_by_this() -> Duration {
        Self::of(process::id()).map_or(Duration::ZERO, |stat| stat.waited_for)
    }
}

/// Whether it has given its memory back, as a process does at its end, before it counts as ended.
fn has_no_memory(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/status")).is_ok_and(|status| !status.contains("VmHWM:"))
}

/// The number after `name` in a file of lines.
fn number(path: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| path.to_owned())?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    let number = number.with_context(|| format!("{path} has no {name}"))?;
    number.parse().with_context(|| format!("{path}: {name} {number}"))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn work_of_this_process_is_counted() {
        let watched = Watched::this();
        let before = watched.usage().unwrap();
        let start = Instant::now();
        let mut sum = 0_u64;
        while start.elapsed() < Duration::from_millis(200) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let used = watched.usage().unwrap().since(before);
        assert!(used.cpu >= Duration::from_millis(50), "{used:?}");
        assert!(used.peak > 0);
    }

    #[test]
    fn a_process_that_is_gone_has_no_usage() {
        let mut child = process::Command::new("true").spawn().unwrap();
        let watched = Watched::none().and(Some(child.id()));
        child.wait().unwrap();
        assert!(watched.usage().is_err());
    }
}
