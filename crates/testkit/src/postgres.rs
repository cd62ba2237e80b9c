//! A PostgreSQL server of the test program's own, and a fresh database for each test.

mod folder;

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::sync::OnceCell;

use self::folder::{back_up_running, copy, copy_running, initialise, ordinary, remove};
use crate::{
    nats::blocking,
    process::{Process, command, free_port, scratch_folder},
    tools::postgres_tool,
};

/// How long a server may take until it answers, recovery included.
const START: Duration = Duration::from_mins(1);

/// How long an immediate stop may take.
const STOP: Duration = Duration::from_secs(30);

/// A PostgreSQL server; clones are the same server.
#[derive(Clone, Debug)]
pub struct Postgres(Arc<Server>);

/// A database of a test's own.
#[derive(Debug)]
pub struct Database {
    /// Where clients connect.
    pub url: String,
    /// The database's name.
    pub name: String,
    server: Postgres,
}

#[derive(Debug)]
enum Server {
    /// A server that `TIFFIN_TEST_POSTGRES` names.
    Given { url: String },
    /// A server that was started here.
    Own {
        port: u16,
        folder: PathBuf,
        process: Mutex<Option<Process>>,
    },
}

impl Postgres {
    /// The server that all tests of a program share: that of `TIFFIN_TEST_POSTGRES`, else one started here.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED
            .get_or_init(async || match env::var("TIFFIN_TEST_POSTGRES") {
                Ok(url) => Self(Arc::new(Server::Given { url })),
                Err(_unset) => Self::start().await,
            })
            .await
    }

    /// Starts a server that is not shared, for tests that restart it.
    pub async fn start() -> Self {
        blocking(|| {
            let folder = scratch_folder("postgres");
            initialise(&folder);
            Self::over(&folder)
        })
        .await
    }

    /// Starts a standby of this server, which streams from it, and has commits wait for it from then on.
    pub async fn synchronous_standby(&self) -> Self {
        let primary = self.0.url(None);
        let standby = blocking(move || {
            let folder = scratch_folder("standby");
            copy_running(&primary, &folder);
            Self::over(&folder)
        })
        .await;
        let waiting = "ALTER SYSTEM SET synchronous_standby_names = '*'";
        self.execute(None, waiting.to_owned()).await;
        self.execute(None, "SELECT pg_reload_conf()".to_owned()).await;
        standby
    }

    /// Takes a backup of the running server by `pg_basebackup`; returns the folder that it is in.
    pub async fn base_backup(&self) -> PathBuf {
        let url = self.0.url(None);
        blocking(move || back_up_running(&url, &scratch_folder("backup"))).await
    }

    /// Starts another server with what is in a backup, which stays as it is.
    pub async fn from_base_backup(backup: PathBuf) -> Self {
        blocking(move || {
            let folder = scratch_folder("postgres");
            copy(&backup, &folder.join("data"));
            Self::over(&folder)
        })
        .await
    }

    /// Starts a server over the data in a folder.
    fn over(folder: &Path) -> Self {
        loop {
            let server = Server::Own {
                port: free_port(),
                folder: folder.to_owned(),
                process: Mutex::new(None),
            };
            // The port may have been taken in between.
            if server.run() {
                return Self(Arc::new(server));
            }
        }
    }

    /// The process id of a server that was started here, while it runs.
    pub fn id(&self) -> Option<u32> {
        let Server::Own { process, .. } = &*self.0 else {
            return None;
        };
        let process = process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().map(Process::id)
    }

    /// Creates an empty database.
    pub async fn database(&self) -> Database {
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        self.execute(None, format!("CREATE DATABASE {name}")).await;
        Database {
            url: self.0.url(Some(&name)),
            name,
            server: self.clone(),
        }
    }

    /// Runs a statement in the given database, or in the server's own; fails the test if it fails.
    pub async fn execute(&self, database: Option<&str>, sql: String) -> String {
        let url = self.0.url(database);
        blocking(move || sql_output(&url, &sql)).await
    }

    /// SIGQUIT, which aborts every connection and leaves recovery to the next start, and a start on the same port.
    pub async fn restart(&self) {
        self.quit(Signal::QUIT).await;
        self.start_again().await;
    }

    /// Stops the server at once, copies all that it stores, and starts it again.
    pub async fn back_up(&self) {
        self.offline(|folder| {
            remove(&folder.join("copy"));
            copy(&folder.join("data"), &folder.join("copy"));
        })
        .await;
    }

    /// Stops the server at once and starts it with what it stored at the last [`Postgres::back_up`].
    pub async fn restore(&self) {
        self.offline(|folder| {
            remove(&folder.join("data"));
            copy(&folder.join("copy"), &folder.join("data"));
        })
        .await;
    }

    async fn offline(&self, work: impl FnOnce(&Path) + Send + 'static) {
        self.quit(Signal::QUIT).await;
        let server = Arc::clone(&self.0);
        blocking(move || work(server.own().0)).await;
        self.start_again().await;
    }

    /// kill -9 of the server's first process; the others notice and end.
    pub async fn kill(&self) {
        self.quit(Signal::KILL).await;
    }

    /// Starts it after [`Postgres::kill`].
    pub async fn start_again(&self) {
        let server = Arc::clone(&self.0);
        blocking(move || {
            let deadline = Instant::now() + START;
            // After a kill -9 its former processes may hold the shared memory for a moment.
            while !server.run() {
                assert!(Instant::now() < deadline, "PostgreSQL has not come up again");
                thread::sleep(Duration::from_millis(100));
            }
        })
        .await;
    }

    async fn quit(&self, signal: Signal) {
        let server = Arc::clone(&self.0);
        blocking(move || {
            let (_, process) = server.own();
            let process = process.lock().unwrap_or_else(PoisonError::into_inner).take();
            let process = process.expect("PostgreSQL runs");
            process.signal(signal);
            process.wait(STOP);
        })
        .await;
    }
}

impl Server {
    fn url(&self, database: Option<&str>) -> String {
        match self {
            Self::Own { port, .. } => format!(
                "postgres://postgres@127.0.0.1:{port}/{}",
                database.unwrap_or("postgres")
            ),
            Self::Given { url } => {
                let Some(database) = database else {
                    return url.clone();
                };
                let mut url = reqwest::Url::parse(url).expect("TIFFIN_TEST_POSTGRES is a URL");
                url.set_path(database);
                url.into()
            }
        }
    }

    fn own(&self) -> (&PathBuf, &Mutex<Option<Process>>) {
        match self {
            Self::Own { folder, process, .. } => (folder, process),
            Self::Given { .. } => {
                panic!("only a server that the tests started may be stopped; use Postgres::start")
            }
        }
    }

    /// Whether it came up.
    fn run(&self) -> bool {
        let Self::Own { port, .. } = self else { return true };
        let (folder, running) = self.own();
        let mut command = command(postgres_tool("postgres"));
        ordinary(
            command
                .arg("-D")
                .arg(folder.join("data"))
                .args(["-p", &port.to_string()]),
        );
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=400",
        ] {
            command.args(["-c", setting]);
        }
        let process = Process::start("postgres", command, &folder.join("log"));
        let deadline = Instant::now() + START;
        while !self.answers() {
            if process.ended().is_some() {
                return false;
            }
            assert!(Instant::now() < deadline, "PostgreSQL has not come up");
            thread::sleep(Duration::from_millis(20));
        }
        *running.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        true
    }

    fn answers(&self) -> bool {
        let ready = Command::new(postgres_tool("pg_isready"))
            .args(["-q", "-d", &self.url(None)])
            .status();
        ready.is_ok_and(|status| status.success())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server of our own is deleted as a whole.
        if let Server::Given { url } = &*self.server.0 {
            sql(url, &format!("DROP DATABASE {} WITH (FORCE)", self.name)).ok();
        }
    }
}

fn sql(url: &str, statement: &str) -> std::io::Result<Output> {
    let quiet = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];
    Command::new(postgres_tool("psql"))
        .args(quiet)
        .args(["-d", url, "-c", statement])
        .output()
}

fn sql_output(url: &str, statement: &str) -> String {
    let output = sql(url, statement).expect("psql can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{statement}: {said}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
