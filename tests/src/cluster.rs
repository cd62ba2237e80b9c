//! Three nats-servers as the production overlay runs them: one cluster, TLS, a user for each program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use async_nats::ConnectOptions;
use tiffin_testkit::{Process, Service, command, free_port, scratch_folder};

use crate::guarded::{self, nats_configuration, said};

const SERVERS: usize = 3;

/// Certificates are for this name, by which the servers and their clients find each other, and not for the address.
const HOST: &str = "localhost";

/// Where they listen.
const ADDRESS: &str = "127.0.0.1";

/// The cluster.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Server>,
    /// Who signed for the servers.
    authority: PathBuf,
    routes: String,
}

#[derive(Debug)]
struct Server {
    name: String,
    port: u16,
    configuration: PathBuf,
    process: Process,
}

impl Cluster {
    /// Starts the servers, and does not wait.
    pub async fn start() -> Result<Self> {
        let tls = certificates().await?;
        let ports = [(); SERVERS].map(|()| free_port());
        let routes = ports.map(|port| format!("nats-route://route:pw-route@{HOST}:{port}"));
        let routes = format!("[{}]", routes.join(", "));
        let mut servers = Vec::new();
        for (number, route_port) in ports.into_iter().enumerate() {
            let name = format!("nats-{number}");
            let configuration = configuration(&tls, route_port)?;
            let port = free_port();
            servers.push(Server {
                process: run(&name, port, &configuration, &routes),
                name,
                port,
                configuration,
            });
        }
        Ok(Self {
            servers,
            authority: tls.join("ca.crt"),
            routes,
        })
    }

    /// kill -9 of the server of this name.
    pub fn kill(&self, name: &str) -> Result<()> {
        let server = self.servers.iter().find(|server| server.name == name);
        server.context("there is no such server")?.process.kill();
        Ok(())
    }

    /// What all servers have said.
    pub fn output(&self) -> String {
        self.servers
            .iter()
            .map(|server| server.process.output())
            .collect()
    }

    /// Starts it again with what it has stored.
    pub fn start_again(&mut self, name: &str) -> Result<()> {
        let server = self.servers.iter_mut().find(|server| server.name == name);
        let server = server.context("there is no such server")?;
        server.process = run(name, server.port, &server.configuration, &self.routes);
        Ok(())
    }

    /// Starts a service as itself, on a database, with a workflow of these waits, and its streams on all servers.
    pub async fn service(&self, name: &str, database_url: &str, waits: &[String; 4]) -> Result<Service> {
        let spec = guarded::service(name, database_url, &self.url(name), waits)?
            .set("TIFFIN_NATS_CA", self.authority.to_string_lossy())
            .set("TIFFIN_STREAM_REPLICAS", SERVERS.to_string());
        Ok(spec.start().await)
    }

    /// What the `nats` command says to an operator.
    pub async fn nats(&self, arguments: &[&str]) -> Result<String> {
        let mut nats = guarded::cli(&self.url("operator"));
        nats.arg("--tlsca").arg(&self.authority).args(arguments);
        said(nats).await
    }

    /// A client of the broker, as an operator.
    pub async fn operator(&self) -> Result<async_nats::Client> {
        let servers = self
            .servers
            .iter()
            .map(|server| format!("tls://{HOST}:{}", server.port));
        let options = ConnectOptions::with_user_and_password("operator".to_owned(), "pw-operator".to_owned())
            .add_root_certificates(self.authority.clone());
        Ok(options.connect(servers.collect::<Vec<_>>()).await?)
    }

    fn url(&self, user: &str) -> String {
        let url = |server: &Server| format!("tls://{user}:pw-{user}@{HOST}:{}", server.port);
        self.servers.iter().map(url).collect::<Vec<_>>().join(",")
    }
}

/// `production.conf`, with folders and a port of the test's own.
fn configuration(tls: &Path, route_port: u16) -> Result<PathBuf> {
    let folder = nats_configuration(&scratch_folder("nats-store").to_string_lossy())?;
    let certificates = format!("{}/", tls.display());
    for (file, deployed, ours) in [
        ("tls.conf", "/etc/nats-tls/", certificates.clone()),
        ("cluster.conf", "/etc/nats-tls/", certificates),
        ("cluster.conf", "0.0.0.0:6222", format!("{ADDRESS}:{route_port}")),
    ] {
        let text = fs::read_to_string(folder.join(file))?;
        anyhow::ensure!(text.contains(deployed), "{file} has no {deployed}");
        fs::write(folder.join(file), text.replace(deployed, &ours))?;
    }
    Ok(folder.join("production.conf"))
}

fn run(name: &str, port: u16, configuration: &Path, routes: &str) -> Process {
    let mut server = guarded::server(port, configuration);
    server.env("HOSTNAME", name).env("NATS_ROUTES", routes);
    Process::start(name, server, &configuration.with_file_name("log"))
}

/// An authority, and a certificate of its for server and client use, named as in a TLS Secret.
async fn certificates() -> Result<PathBuf> {
    let folder = scratch_folder("nats-tls");
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let name = format!("subjectAltName=DNS:{HOST}");
    let request = |name: &str| {
        let mut openssl = command("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ]);
        openssl.args(["-nodes", "-days", "1", "-subj", &format!("/CN={name}")]);
        openssl
    };
    let mut authority = request("authority");
    authority.args(["-keyout", &file("ca.key"), "-out", &file("ca.crt")]);
    run_openssl(authority).await?;
    let mut server = request("nats");
    server.args(["-CA", &file("ca.crt"), "-CAkey", &file("ca.key")]);
    server.args(["-keyout", &file("tls.key"), "-out", &file("tls.crt")]);
    for extension in [
        &*name,
        "basicConstraints=critical,CA:FALSE",
        "extendedKeyUsage=serverAuth,clientAuth",
    ] {
        server.args(["-addext", extension]);
    }
    run_openssl(server).await?;
    Ok(folder)
}

async fn run_openssl(openssl: Command) -> Result<()> {
    said(openssl).await.context("openssl 3")?;
    Ok(())
}
