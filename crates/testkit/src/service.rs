//! A service as a process: started, killed and started again on the same ports.

use std::{path::PathBuf, time::Duration};

use crate::{
    eventually,
    process::{Process, command, free_port, scratch_folder},
    program::program,
};

/// How long a service may take until it is ready.
const START: Duration = Duration::from_secs(30);

/// How to start a service.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    program: PathBuf,
    name: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    port: u16,
    admin_port: u16,
    output: PathBuf,
}

impl ServiceSpec {
    /// A service of the workspace, on ports of its own.
    pub fn new(name: &str) -> Self {
        Self::of(name, program(name))
    }

    /// A program that was built already, such as the one that an integration test is about.
    pub fn of(name: &str, program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            name: name.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            port: free_port(),
            admin_port: free_port(),
            output: scratch_folder(name).join("log"),
        }
    }

    /// With a further argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Service {
        let service = self.launch();
        service.ready().await;
        service
    }

    /// Starts it and does not wait.
    pub fn launch(self) -> Service {
        let mut command = command(&self.program);
        let address = |port| format!("127.0.0.1:{port}");
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
            .env("TIFFIN_LISTEN", address(self.port))
            .env("TIFFIN_ADMIN_LISTEN", address(self.admin_port));
        Service {
            process: Process::start(&self.name, command, &self.output),
            spec: self,
        }
    }
}

/// A service that was started.
#[derive(Debug)]
pub struct Service {
    /// Its process.
    pub process: Process,
    spec: ServiceSpec,
}

impl Service {
    /// Where it serves clients.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.spec.port)
    }

    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.spec.admin_port)
    }

    /// Waits until it is ready; fails the test if it ends instead.
    pub async fn ready(&self) {
        let url = format!("{}/readyz", self.admin_url());
        let client = reqwest::Client::new();
        let look = async || {
            let ended = self.process.ended();
            assert!(
                ended.is_none(),
                "{} ended with {ended:?}: {}",
                self.spec.name,
                self.process.output()
            );
            client
                .get(&url)
                .send()
                .await
                .map(|answer| answer.status().as_u16())
                .ok()
        };
        eventually!(within START, look().await, |status| *status == Some(200));
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        Ok(reqwest::get(format!("{}/metrics", self.admin_url()))
            .await?
            .error_for_status()?
            .text()
            .await?)
    }

    /// Starts it again on the same ports after its process ended, and does not wait.
    #[must_use]
    pub fn again(self) -> Self {
        assert!(self.process.ended().is_some(), "{} still runs", self.spec.name);
        self.spec.launch()
    }
}
