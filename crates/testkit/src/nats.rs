//! A nats-server with JetStream, a port and a store of its own, and every way to hurt it.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    process::{Process, command, free_port, scratch_folder},
    tools::nats_server,
};

/// By itself a server allows streams as much as the disk has free, so that tests would depend on that.
const JETSTREAM: &str = "jetstream { max_file_store: 16GB }";
/// How long a server may take until it greets.
const START: Duration = Duration::from_secs(30);

/// A running nats-server; clones are the same server, and the last one dropped ends it.
#[derive(Clone, Debug)]
pub struct NatsServer(Arc<Server>);

#[derive(Debug)]
struct Server {
    port: u16,
    folder: PathBuf,
    configuration: String,
    process: Mutex<Option<Process>>,
}

impl NatsServer {
    /// Starts a server on 127.0.0.1.
    pub async fn start() -> Self {
        blocking(|| {
            loop {
                let server = Server::new(JETSTREAM.to_owned());
                // The port may have been taken in between.
                if server.start() {
                    return Self(Arc::new(server));
                }
            }
        })
        .await
    }

    /// Starts three servers on 127.0.0.1 that are one cluster, each of which tells its clients of the others.
    pub async fn cluster() -> [Self; 3] {
        blocking(|| {
            loop {
                let ports = [(); 3].map(|()| free_port());
                let routes = ports.map(|port| format!("nats://127.0.0.1:{port}")).join(", ");
                let servers = ports.map(|port| {
                    Server::new(format!(
                        "server_name: n{port}\ncluster {{ name: test, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}\n{JETSTREAM}"
                    ))
                });
                if servers.iter().all(Server::start) {
                    return servers.map(|server| Self(Arc::new(server)));
                }
            }
        })
        .await
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.0.port)
    }

    /// What it is called in its cluster; alone it has a name of the server's making.
    pub fn is_called(&self, name: &str) -> bool {
        self.0.configuration.contains(&format!("server_name: {name}\n"))
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        let process = self.0.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().map(Process::id)
    }

    /// kill -9; the store stays.
    pub async fn kill(&self) {
        self.blocking(Server::kill).await;
    }

    /// kill -9 if it runs, and a start on the same port with the same store.
    pub async fn restart(&self) {
        self.blocking(|server| {
            server.kill();
            server.start_again();
        })
        .await;
    }

    /// kill -9, all of JetStream's data deleted, and a start on the same port.
    pub async fn wipe(&self) {
        self.blocking(|server| {
            server.kill();
            fs::remove_dir_all(server.store()).expect("our own folder");
            server.start_again();
        })
        .await;
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.0.running(Process::pause);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.0.running(Process::resume);
    }

    async fn blocking(&self, work: impl FnOnce(&Server) + Send + 'static) {
        let server = Arc::clone(&self.0);
        blocking(move || work(&server)).await;
    }
}

impl Server {
    fn new(configuration: String) -> Self {
        Self {
            port: free_port(),
            folder: scratch_folder("nats"),
            configuration,
            process: Mutex::new(None),
        }
    }

    fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// Whether it came up; it does not if the port is in use.
    fn start(&self) -> bool {
        let configuration = self.folder.join("nats-server.conf");
        fs::write(&configuration, &self.configuration).expect("our own folder");
        let mut command = command(nats_server());
        command
            .args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-js", "-sd"])
            .arg(self.store())
            .arg("-c")
            .arg(&configuration);
        let process = Process::start("nats-server", command, &self.folder.join("log"));
        let deadline = Instant::now() + START;
        while !self.greets() {
            if process.ended().is_some() {
                return false;
            }
            assert!(
                Instant::now() < deadline,
                "nats-server has not come up: {}",
                process.output()
            );
            thread::sleep(Duration::from_millis(10));
        }
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        true
    }

    fn start_again(&self) {
        assert!(
            self.start(),
            "nats-server has not come up again; is port {} in use?",
            self.port
        );
    }

    fn greets(&self) -> bool {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
            return false;
        };
        let mut line = String::new();
        let read = stream.set_read_timeout(Some(Duration::from_secs(5)));
        read.and_then(|()| BufReader::new(stream).read_line(&mut line))
            .is_ok()
            && line.starts_with("INFO ")
    }

    fn kill(&self) {
        if let Some(process) = self.process.lock().unwrap_or_else(PoisonError::into_inner).take() {
            process.kill();
        }
    }

    fn running(&self, work: impl FnOnce(&Process)) {
        work(
            self.process
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .as_ref()
                .expect("nats-server runs"),
        );
    }
}

/// Runs blocking work without stopping the test's other tasks.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
