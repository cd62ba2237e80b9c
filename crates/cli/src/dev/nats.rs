//! A nats-server of our own: started anew when it dies, ended with us.

use std::{
    env,
    fs::{self, File},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    thread::available_parallelism,
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tiffin_runtime::{Error, Leash, Lifecycle};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::find;

/// How long it may take until it greets.
const START: Duration = Duration::from_secs(15);

/// How long its port may still be held by one that was ours and is being ended.
const PORT: Duration = Duration::from_secs(2);

/// How long before a stop has to be over it is killed if it has not ended in good order.
const KILL: Duration = Duration::from_millis(250);

/// How long to wait before it is started anew: at first, and at most while it ends again and again.
const AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// By itself it takes three quarters of the disk's free space as its limit, and refuses streams whose own limits, which
/// they never come near on one machine, are above it.
const CONFIGURATION: &str = "# Written by tiffin dev at every start.\njetstream { max_file_store: 16GB }\n";

/// Go's own setting of how many processors a program uses at a time.
const PROCESSORS: &str = "GOMAXPROCS";

/// The program of a nats-server that is to listen there, which nobody else does.
pub(super) async fn program(listen: SocketAddr) -> Result<PathBuf, Error> {
    if listen.port() == 0 {
        return Err(Error::setting("TIFFIN_NATS_LISTEN", "name a port other than 0"));
    }
    let program = find::nats_server()?;
    free(listen).await?;
    Ok(program)
}

/// A nats-server that runs.
pub(super) struct Nats {
    listen: SocketAddr,
    stop: CancellationToken,
    keeper: JoinHandle<Option<(Server, Child)>>,
}

impl Nats {
    /// Starts `program`, with its data and its log in `data`, and watches over it until [`Nats::stop`].
    pub(super) async fn start(
        program: PathBuf,
        listen: SocketAddr,
        data: &Path,
        lifecycle: &Lifecycle,
    ) -> anyhow::Result<Self> {
        let server = Server {
            program,
            listen,
            store: data.join("nats"),
            configuration: data.join("nats-server.conf"),
            log: data.join("nats-server.log"),
            leash: Leash::new().context("cannot start the watchdog of nats-server")?,
        };
        remove_old_log(&server.log)?;
        fs::write(&server.configuration, CONFIGURATION)
            .with_context(|| format!("cannot write {}", server.configuration.display()))?;
        let mut child = server.spawn()?;
        server.greets(&mut child).await?;
        let stop = CancellationToken::new();
        // If the start fails from here on, the leash, which the task owns, ends the server with the process.
        let keeper = tokio::spawn(server.keep(child, stop.clone(), lifecycle.clone()));
        Ok(Self { listen, stop, keeper })
    }

    /// Where clients connect.
    pub(super) fn url(&self) -> String {
        format!("nats://{}", self.listen)
    }

    /// Ends it within `patience`; in good order, unless that takes too long.
    pub(super) async fn stop(self, patience: Duration) {
        self.stop.cancel();
        let (server, mut child) = match self.keeper.await {
            Ok(Some(running)) => running,
            Ok(None) => return,
            Err(error) => return tracing::error!(%error, "the keeper of nats-server failed"),
        };
        if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // It may have ended by itself a moment ago.
            let _ended = kill_process(pid, Signal::TERM);
        }
        if timeout(patience.saturating_sub(KILL), child.wait())
            .await
            .is_err()
        {
            tracing::warn!("nats-server does not end; killing it");
            if let Err(error) = child.kill().await {
                tracing::error!(%error, "cannot kill nats-server");
            }
        }
        // Not before: its leash kills it at once.
        drop(server);
    }
}

struct Server {
    program: PathBuf,
    listen: SocketAddr,
    store: PathBuf,
    configuration: PathBuf,
    log: PathBuf,
    leash: Leash,
}

impl Server {
    fn spawn(&self) -> anyhow::Result<Child> {
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("cannot write {}", self.log.display()))?;
        let mut command = self.leash.command(&self.program);
        command
            .args([
                "-a",
                &self.listen.ip().to_string(),
                "-p",
                &self.listen.port().to_string(),
                "-js",
                "-sd",
            ])
            .arg(&self.store)
            .arg("-c")
            .arg(&self.configuration)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if env::var_os(PROCESSORS).is_none() {
            // With all of them its threads wake one another, and take the processors from those who wait for its answers.
            let half = available_parallelism().map_or(1, |all| all.get().div_ceil(2));
            command.env(PROCESSORS, half.to_string());
        }
        Command::from(command)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))
    }

    /// Waits until the server greets a client, which it does once JetStream is up.
    async fn greets(&self, child: &mut Child) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        while !matches!(timeout(START, greeted(self.listen)).await, Ok(Ok(true))) {
            if let Some(status) = child.try_wait()? {
                bail!(
                    "nats-server ended at once ({status}); {} says why",
                    self.log.display()
                );
            }
            if Instant::now() > deadline {
                bail!("nats-server did not come up; {} may say why", self.log.display());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Starts it anew whenever it ends, until it is to stop; returns it if it runs then.
    async fn keep(
        self,
        mut child: Child,
        stop: CancellationToken,
        lifecycle: Lifecycle,
    ) -> Option<(Self, Child)> {
        let mut pause = AGAIN.0;
        loop {
            let started = Instant::now();
            let Some(status) = stop.run_until_cancelled(child.wait()).await else {
                return Some((self, child));
            };
            pause = if started.elapsed() > AGAIN.1 {
                AGAIN.0
            } else {
                AGAIN.1.min(pause * 2)
            };
            let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            tracing::warn!(status, log = %self.log.display(), "nats-server ended; starting it again");
            stop.run_until_cancelled(sleep(pause)).await?;
            match self.spawn() {
                Ok(again) => child = again,
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "cannot start nats-server again");
                    lifecycle.fail();
                    return None;
                }
            }
        }
    }
}

async fn greeted(address: SocketAddr) -> io::Result<bool> {
    let mut line = String::new();
    BufReader::new(TcpStream::connect(address).await?)
        .read_line(&mut line)
        .await?;
    Ok(line.starts_with("INFO "))
}

/// Waits a moment for the port to be free, and says so if it is not.
async fn free(address: SocketAddr) -> Result<(), Error> {
    let deadline = Instant::now() + PORT;
    loop {
        match TcpListener::bind(address).await {
            Ok(_closed_at_once) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                sleep(Duration::from_millis(50)).await;
            }
            Err(cause) => {
                let setting = "TIFFIN_NATS_LISTEN; TIFFIN_NATS_URL uses a server that runs already";
                return Err(Error::Listen {
                    address,
                    setting,
                    cause,
                });
            }
        }
    }
}

/// The log is that of this start.
fn remove_old_log(log: &Path) -> anyhow::Result<()> {
    match fs::remove_file(log) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", log.display()))
        }
        _ => Ok(()),
    }
}
