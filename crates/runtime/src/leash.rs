//! Child processes that end when this process ends, however it ends.

use std::{
    ffi::OsStr,
    io::{self, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// What the watchdog shell does: it remembers the folders it is told of, and once its standard input ends, because
/// this process dropped it or died, it kills the process group that is named by its first argument.
const WATCHDOG: &str = r#"
group=$1
shift
while IFS= read -r folder; do set -- "$@" "$folder"; done
kill -s KILL -- "-$group" 2>/dev/null
for folder in "$@"; do
    tries=0
    until rm -rf -- "$folder" 2>/dev/null || [ "$tries" -ge 20 ]; do tries=$((tries + 1)); sleep 0.1; done
done
"#;

/// Keeps child processes from outliving this process, even when it is killed with -9.
///
/// Children are started in one process group, which a small shell kills as soon as its pipe to this process closes.
/// The kernel closes the pipe on every kind of death, and a child is in the group before it runs its first instruction,
/// so there is no moment at which one could be left behind. Dropping the leash ends them too.
#[derive(Debug)]
pub struct Leash {
    group: Pid,
    anchor: Child,
    watchdog: Child,
    pipe: Option<ChildStdin>,
}

impl Leash {
    /// Starts the watchdog.
    pub fn new() -> io::Result<Self> {
        let quiet = |command: &mut Command| {
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .process_group(0)
                .spawn()
        };
        // The anchor only keeps the group in existence while it has no other member.
        let anchor = quiet(&mut Command::new("cat"))?;
        let group = Pid::from_child(&anchor);
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCHDOG, "tiffin-watchdog", &group.to_string()]);
        let mut watchdog = quiet(&mut shell)?;
        let pipe = watchdog.stdin.take();
        Ok(Self {
            group,
            anchor,
            watchdog,
            pipe,
        })
    }

    /// A command whose process will be on the leash.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.process_group(self.group.as_raw_nonzero().get());
        command
    }

    /// Has `folder` deleted once the processes are gone, whatever happens to this one.
    pub fn remove_at_end(&self, folder: &Path) -> io::Result<()> {
        let mut line = folder.as_os_str().as_encoded_bytes().to_vec();
        line.push(b'\n');
        match &self.pipe {
            Some(pipe) => (&mut &*pipe).write_all(&line),
            None => Ok(()),
        }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // Without a watchdog (someone killed it) this still ends the group.
        let _gone = kill_process_group(self.group, Signal::KILL);
        // And one that was stopped (by someone who stops all that this process started) would never end.
        let _ended = kill_process(Pid::from_child(&self.watchdog), Signal::CONT);
        let _reaped = (self.anchor.wait(), self.watchdog.wait());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        time::{Duration, Instant},
    };

    use super::*;

    fn ends_soon(child: &mut Child) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if child.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    #[test]
    fn children_end_with_the_leash_and_its_folders_go() {
        let folder = tempfile::tempdir().unwrap().keep();
        let leash = Leash::new().unwrap();
        leash.remove_at_end(&folder).unwrap();
        let mut child = leash.command("sleep").arg("600").spawn().unwrap();
        assert!(child.try_wait().unwrap().is_none());
        drop(leash);
        assert!(ends_soon(&mut child));
        assert!(!folder.exists());
    }

    #[test]
    fn what_was_stopped_ends_with_the_leash_too() {
        let leash = Leash::new().unwrap();
        let mut child = leash.command("sleep").arg("600").spawn().unwrap();
        for stopped in [&child, &leash.watchdog] {
            kill_process(Pid::from_child(stopped), Signal::STOP).unwrap();
        }
        drop(leash);
        assert!(ends_soon(&mut child));
    }

    #[test]
    fn children_end_when_the_process_that_holds_the_leash_is_killed() {
        // This test program runs itself as the process that is killed.
        let program = std::env::current_exe().unwrap();
        let mut holder = Command::new(program)
            .args([
                "--exact",
                "leash::tests::hold_a_leash_for_the_test_above",
                "--ignored",
                "--nocapture",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The grandchild holds the other end of our pipe, so the pipe ends only when it is gone.
        let mut output = holder.stdout.take().unwrap();
        let mut seen = Vec::new();
        let mut byte = [0];
        while !seen.ends_with(b"holding") {
            assert_eq!(
                output.read(&mut byte).unwrap(),
                1,
                "the holder said: {}",
                String::from_utf8_lossy(&seen)
            );
            seen.push(byte[0]);
        }
        holder.kill().unwrap();
        holder.wait().unwrap();
        let started = Instant::now();
        output.read_to_end(&mut seen).unwrap();
        assert!(started.elapsed() < Duration::from_mins(1));
    }

    #[test]
    #[ignore = "a helper process of another test"]
    fn hold_a_leash_for_the_test_above() {
        let leash = Leash::new().unwrap();
        let mut child = leash.command("sleep").arg("120").spawn().unwrap();
        print!("holding");
        io::stdout().flush().unwrap();
        child.wait().unwrap();
    }
}
