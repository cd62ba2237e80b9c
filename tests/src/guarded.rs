//! The servers as they are deployed: the very files of `deploy`, a user and a role for each program, passwords.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tiffin_testkit::{
    Postgres, Process, Service, ServiceSpec, command, eventually, free_port, nats_cli, nats_server,
    postgres_tool, program, scratch_folder, workspace,
};

use crate::stack::{keyed, migrate, saga};

/// Passwords of the database may hold any character; here escaped for a URL.
const PASSWORD: (&str, &str) = (r#"it's "a" \'; --$1"#, "it%27s%20%22a%22%20%5C%27%3B%20--%241");

/// Users of NATS, each with a variable for its password.
const USERS: [&str; 7] = [
    "api", "orders", "notifier", "follower", "operator", "sys", "route",
];

/// PostgreSQL with Tiffin's roles, and a NATS server with its users.
#[derive(Debug)]
pub struct Guarded {
    /// The database server; its superuser needs no password, all others do.
    pub postgres: Postgres,
    /// The broker.
    pub nats: Process,
    /// Where the broker keeps what it stores.
    pub nats_store: PathBuf,
    nats_port: u16,
    postgres_port: String,
}

impl Guarded {
    /// Starts both and makes the tables.
    pub async fn start() -> Result<Self> {
        let guarded = Self::over(Postgres::start().await, scratch_folder("nats-store")).await?;
        // It may be run again.
        for _ in 0..2 {
            guarded.make_roles().await?;
            migrate(&guarded.database("owner")).await?;
        }
        let wrong = guarded.database("owner").replace(PASSWORD.1, "wrong");
        let refused = async || {
            let output = guarded
                .sql(wrong.clone(), "SELECT")
                .await
                .expect("psql can be started");
            !output.status.success()
        };
        eventually!(refused().await, |refused| *refused);
        Ok(guarded)
    }

    /// A database server that has the roles and the tables already, and a broker with what is in its store.
    pub async fn over(postgres: Postgres, nats_store: PathBuf) -> Result<Self> {
        let postgres_port = postgres.execute(None, "SHOW port".to_owned()).await;
        let nats_port = free_port();
        let guarded = Self {
            nats: nats(nats_port, &nats_store)?,
            nats_store,
            postgres,
            nats_port,
            postgres_port,
        };
        guarded.ask_for_passwords().await?;
        Ok(guarded)
    }

    async fn ask_for_passwords(&self) -> Result<()> {
        let file = self.postgres.execute(None, "SHOW hba_file".to_owned()).await;
        let rules =
            "host all,replication postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(file, rules)?;
        let reload = "SELECT pg_reload_conf()".to_owned();
        self.postgres.execute(None, reload).await;
        Ok(())
    }

    async fn make_roles(&self) -> Result<()> {
        let mut script = command(workspace().join("deploy/postgres/roles.sh"));
        let psql = postgres_tool("psql");
        let folder = psql.parent().context("psql is in a folder")?;
        let path = std::env::var("PATH").unwrap_or_default();
        script
            .env("PATH", format!("{}:{path}", folder.display()))
            .envs([("PGHOST", "127.0.0.1"), ("PGPORT", &self.postgres_port)]);
        for role in ["OWNER", "API", "ORDERS", "NOTIFIER"] {
            script.env(format!("POSTGRES_{role}_PASSWORD"), PASSWORD.0);
        }
        let output = tokio::task::spawn_blocking(move || script.output()).await??;
        ensure!(output.status.success(), "roles.sh: {output:?}");
        Ok(())
    }

    /// Where `tiffin_<role>` finds its database.
    pub fn database(&self, role: &str) -> String {
        format!(
            "postgres://tiffin_{role}:{}@127.0.0.1:{}/tiffin",
            PASSWORD.1, self.postgres_port
        )
    }

    /// Where the superuser finds Tiffin's database.
    pub fn superuser(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/tiffin", self.postgres_port)
    }

    /// Where a user finds NATS.
    pub fn nats_url(&self, user: &str) -> String {
        format!("nats://{user}:pw-{user}@127.0.0.1:{}", self.nats_port)
    }

    /// Starts a service as itself, with a workflow of these waits.
    pub async fn service(&self, name: &str, waits: &[String; 4]) -> Result<Service> {
        let spec = service(name, &self.database(name), &self.nats_url(name), waits)?;
        Ok(spec.start().await)
    }

    /// What `psql` says when a role runs a statement.
    pub async fn sql(&self, url: String, statement: &str) -> Result<Output> {
        let mut psql = command(postgres_tool("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-d", &url, "-c", statement]);
        Ok(tokio::task::spawn_blocking(move || psql.output()).await??)
    }

    /// What the `nats` command says to an operator.
    pub async fn nats(&self, arguments: &[&str]) -> Result<String> {
        let mut nats = cli(&self.nats_url("operator"));
        nats.args(arguments);
        said(nats).await
    }

    /// What the operator's commands of `tiffin` say.
    pub async fn tiffin(&self, arguments: &[&str]) -> Result<String> {
        let mut tiffin = command(program("tiffin"));
        tiffin
            .args(arguments)
            .env("TIFFIN_NATS_URL", self.nats_url("operator"));
        said(tiffin).await
    }
}

/// What a command prints that succeeds.
pub async fn said(mut command: Command) -> Result<String> {
    command.stdin(Stdio::null());
    let run = tokio::task::spawn_blocking(move || command.output());
    let output = tokio::time::timeout(Duration::from_mins(1), run).await???;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(said)
}

/// The configuration of `deploy/nats`, which stores in a folder of the test's own.
pub fn nats_configuration(store: &str) -> Result<PathBuf> {
    let folder = scratch_folder("nats-configuration");
    for file in fs::read_dir(workspace().join("deploy/nats"))? {
        let file = file?;
        let text =
            fs::read_to_string(file.path())?.replace("store_dir: /data", &format!("store_dir: {store}"));
        fs::write(folder.join(file.file_name()), text)?;
    }
    Ok(folder)
}

fn nats(port: u16, store: &Path) -> Result<Process> {
    let configuration = nats_configuration(&store.to_string_lossy())?.join("nats.conf");
    let log = scratch_folder("nats").join("log");
    Ok(Process::start("nats-server", server(port, &configuration), &log))
}

/// A nats-server with a configuration as it is deployed, on a port, and passwords for all its users.
pub(crate) fn server(port: u16, configuration: &Path) -> Command {
    let mut server = command(nats_server());
    let (port, monitor) = (port.to_string(), free_port().to_string());
    server.args(["-a", "127.0.0.1", "-p", &port, "-m", &monitor, "-c"]);
    server.arg(configuration);
    for user in USERS {
        let variable = format!("NATS_{}_PASSWORD", user.to_uppercase());
        server.env(variable, format!("pw-{user}"));
    }
    server
}

/// A service as itself, with a workflow of these waits.
pub(crate) fn service(name: &str, database: &str, nats: &str, waits: &[String; 4]) -> Result<ServiceSpec> {
    let spec = keyed(ServiceSpec::new(&format!("tiffin-{name}")))
        .set("DATABASE_URL", database)
        .set("TIFFIN_NATS_URL", nats)
        .set("TIFFIN_SAGA", saga(waits)?.to_string_lossy());
    Ok(spec)
}

/// The `nats` command of whoever has this URL.
pub(crate) fn cli(url: &str) -> Command {
    let mut nats = command(nats_cli());
    nats.args(["--no-context", "--server", url]);
    nats
}
