//! One child process: on the leash of the test program, with its output in a file.

use std::{
    ffi::OsStr,
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tiffin_runtime::Leash;

/// How many bytes of a process' output are shown when a test fails.
const SHOWN: usize = 8 * 1024;

fn leash() -> &'static Leash {
    static LEASH: OnceLock<Leash> = OnceLock::new();
    LEASH.get_or_init(|| Leash::new().expect("cat and sh can be started"))
}

/// A command whose process ends with the test program.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    leash().command(program)
}

/// A new folder, which everybody may enter; it is deleted when the test program is gone.
pub fn scratch_folder(name: &str) -> PathBuf {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    let open = |folder: &Path| {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("our own folder");
    };
    let root = ROOT.get_or_init(|| {
        let root = tempfile::Builder::new()
            .prefix("tiffin-test-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        open(&root);
        leash().remove_at_end(&root).expect("the watchdog listens");
        root
    });
    let folder = tempfile::Builder::new()
        .prefix(&format!("{name}-"))
        .tempdir_in(root)
        .expect("a temporary folder")
        .keep();
    open(&folder);
    folder
}

/// A TCP port that nobody uses now. It lies below the ports that the kernel gives to outgoing connections, so that a
/// server which is down for a moment finds it free again, and clients that try to reach it never reach themselves.
pub fn free_port() -> u16 {
    loop {
        let port = rand::random_range(10_000..32_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A running child process. Dropping it kills it; when the test fails, the end of its output is shown.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Mutex<Child>,
    pid: Pid,
    output: PathBuf,
}

impl Process {
    /// Starts a process by a command made with [`command`]; `output` gets what it prints, after what is there already.
    pub fn start(name: &str, mut command: Command, output: &Path) -> Self {
        let file = File::options()
            .create(true)
            .append(true)
            .open(output)
            .expect("a file for the output");
        let both = file.try_clone().expect("another descriptor");
        let child = command.stdin(Stdio::null()).stdout(file).stderr(both).spawn();
        let child = child.unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        Self {
            name: name.to_owned(),
            pid: Pid::from_child(&child),
            child: Mutex::new(child),
            output: output.to_owned(),
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.child().try_wait().expect("a child of ours")
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(&self) {
        let mut child = self.child();
        child.kill().expect("a child of ours");
        child.wait().expect("a child of ours");
    }

    /// SIGTERM; returns at once.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGSTOP.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        // Until it is waited for, which needs the lock, its number cannot belong to another process.
        if self.child().try_wait().expect("a child of ours").is_none() {
            kill_process(self.pid, signal).expect("a child of ours");
        }
    }

    /// Blocks until it has ended by itself; fails the test after `patience`.
    pub fn wait(&self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "{} has not ended within {patience:?}",
                self.name
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ended = (child.kill(), child.wait());
        if thread::panicking() {
            let output = self.output();
            let shown = output.ceil_char_boundary(output.len().saturating_sub(SHOWN));
            eprintln!("--- the end of what {} printed:\n{}", self.name, &output[shown..]);
        }
    }
}
