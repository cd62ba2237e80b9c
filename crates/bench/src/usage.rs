//! CPU time, bytes written and memory of processes, from `/proc`.

use std::{collections::HashMap, fs, process, time::Duration};

use rustix::param::clock_ticks_per_second;

/// The processes whose cost counts: each with its children.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    roots: Vec<u32>,
}

/// What they have used up to now, or between two moments.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Bytes handed to the disk.
    pub(crate) written: u64,
    /// The largest resident memory that any had so far, added up.
    pub(crate) peak: u64,
    /// The resident memory now.
    pub(crate) resident: u64,
}

impl Watched {
    /// This process alone: a subject that runs in it, its load included.
    pub(crate) fn this() -> Self {
        Self {
            roots: vec![process::id()],
        }
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

    /// What they have used.
    pub(crate) fn usage(&self) -> Usage {
        let all = Stat::all();
        let mut usage = Usage::default();
        for root in &self.roots {
            // A child that was waited for stands in its parent's account.
            if let Some(stat) = all.get(root) {
                usage.add(*root, stat.own + stat.waited_for);
            }
            // The bench's own children are the servers, which are named on their own.
            if *root == process::id() {
                continue;
            }
            for (child, stat) in all.iter().filter(|(_, stat)| stat.parent == *root) {
                usage.add(*child, stat.own + stat.waited_for);
            }
        }
        if self.roots.contains(&process::id()) {
            usage.cpu = usage.cpu.saturating_sub(Stat::waited_for_by_this());
        }
        usage
    }
}

impl Usage {
    fn add(&mut self, id: u32, cpu: Duration) {
        self.cpu += cpu;
        self.written += number(&format!("/proc/{id}/io"), "write_bytes:");
        self.peak += number(&format!("/proc/{id}/status"), "VmHWM:") * 1024;
        self.resident += number(&format!("/proc/{id}/status"), "VmRSS:") * 1024;
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
            parent: fields.get(1)?.parse().ok()?,
            own: time(ticks(14)? + ticks(15)?),
            waited_for: time(ticks(16)? + ticks(17)?),
        })
    }

    fn waited_for_by_this() -> Duration {
        Self::of(process::id()).map_or(Duration::ZERO, |stat| stat.waited_for)
    }
}

/// The number after `name` in a file of lines; 0 if it is not there.
fn number(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn work_of_this_process_is_counted() {
        let watched = Watched::this();
        let before = watched.usage();
        let start = Instant::now();
        let mut sum = 0_u64;
        while start.elapsed() < Duration::from_millis(200) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let used = watched.usage().since(before);
        assert!(used.cpu >= Duration::from_millis(50), "{used:?}");
        assert!(used.peak > 0);
    }
}
