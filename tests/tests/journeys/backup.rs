//! A machine that is lost, and another that is set up from a backup of the database, as docs/operations.md says.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use futures::future::{join_all, try_join_all};
use serde_json::Value;
use tiffin_testkit::{Postgres, Service, command, eventually, postgres_tool, program, scratch_folder};
use tiffin_tests::{
    client::{After, Client, Outcome, id},
    guarded::{Guarded, said},
    screen::{Clock, Screen, WHOLE, story},
    stack::{API_KEY, waits},
    torture::{Ledger, audit, history::Evidence, ledger::Demands},
};

/// How many orders of each kind there are.
const EACH: usize = 5;

/// What is left of a machine.
struct Lost {
    backup: PathBuf,
    nats_store: PathBuf,
    /// Orders that the backup has, at their second version; they were delivered since.
    kept: Vec<String>,
    /// Orders that were placed, and delivered, after the backup was taken.
    gone: Vec<String>,
}

/// The servers of a machine, and the services while they run.
struct Machine {
    servers: Guarded,
    api: Service,
    notifier: Service,
    client: Client,
    clock: Clock,
}

impl Machine {
    /// With all but `orders`.
    async fn start(servers: Guarded) -> Result<Self> {
        let api = service(&servers, "api").await?;
        let notifier = service(&servers, "notifier").await?;
        Ok(Self {
            client: Client::new(&[api.url()], &[notifier.url()], API_KEY),
            clock: Clock::read().await?,
            servers,
            api,
            notifier,
        })
    }

    async fn place(&self, product: &str) -> Result<Vec<String>> {
        let place = async |number| {
            let key = format!("the key of {product} {number}");
            let order = self.client.place(product, &key).await?;
            ensure!(order["version"] == 1, "{order}");
            anyhow::Ok(id(&order).to_owned())
        };
        try_join_all((0..EACH).map(place)).await
    }

    async fn screen(&self, order: &str, after: u32) -> Result<Screen> {
        Screen::new(&self.client, order, After::Version(after), self.clock).await
    }

    /// Each order goes through all of its versions.
    async fn delivers(&self, orders: &[String]) -> Result<()> {
        try_join_all(orders.iter().map(async |order| {
            let updates = self.screen(order, 0).await?.to_the_end().await?;
            ensure!(story(&updates) == WHOLE, "{updates:?}");
            Ok(())
        }))
        .await?;
        Ok(())
    }

    async fn status(&self, order: &str) -> Option<String> {
        match self.client.order(order).await {
            Outcome::Done(order) => Some(order["status"].as_str()?.to_owned()),
            _ => None,
        }
    }

    async fn stream(&self, name: &str) -> Result<Value> {
        let info = self.servers.nats(&["stream", "info", name, "--json"]).await?;
        Ok(serde_json::from_str(&info)?)
    }

    async fn last_sequence(&self, stream: &str) -> Option<u64> {
        self.stream(stream).await.ok()?["state"]["last_seq"].as_u64()
    }
}

async fn service(servers: &Guarded, name: &str) -> Result<Service> {
    servers.service(name, &waits(["0s", "2s", "0s", "1s"])).await
}

/// Orders are placed before and after a backup, and delivered; then everything but the broker's disk is gone.
async fn lost(copy: impl AsyncFnOnce(&Guarded) -> Result<PathBuf>) -> Result<Lost> {
    let machine = Machine::start(Guarded::start().await?).await?;
    let orders = service(&machine.servers, "orders").await?;
    let kept = machine.place("kept").await?;
    for order in &kept {
        eventually!(machine.status(order).await, |it| it.as_deref() == Some("PAID"));
    }
    // However long the backup takes, this is what it has of them.
    orders.process.pause();
    let backup = copy(&machine.servers).await?;
    orders.process.resume();
    let gone = machine.place("gone").await?;
    machine.delivers(&kept).await?;
    machine.delivers(&gone).await?;
    for (stream, messages) in [("ORDER_CREATED", 2 * EACH), ("ORDER_UPDATED", 8 * EACH)] {
        eventually!(machine.last_sequence(stream).await, |last| {
            *last == Some(messages as u64)
        });
    }
    for service in [&machine.api, &machine.notifier, &orders] {
        service.process.kill();
    }
    machine.servers.nats.kill();
    machine.servers.postgres.kill().await;
    Ok(Lost {
        backup,
        nats_store: machine.servers.nats_store.clone(),
        kept,
        gone,
    })
}

/// Starts the services over what was restored; orders and subscribers go on. Returns the machine and its `orders`.
async fn goes_on(servers: Guarded, lost: &Lost) -> Result<(Machine, Service)> {
    let machine = Machine::start(servers).await?;
    // A screen that knows more than the backup is shown what is, and goes on from there.
    let mut screens = Vec::new();
    for order in &lost.kept {
        let mut screen = machine.screen(order, 5).await?;
        let first = screen.next().await?.context("no update")?;
        assert_eq!(story(&[first]), WHOLE[1..2]);
        screens.push(screen);
    }
    // Of an order that is lost it is told so.
    for order in &lost.gone {
        let read = machine.client.order(order).await;
        assert_eq!(read, Outcome::Done(Value::Null));
        let told = match machine.screen(order, 5).await {
            Ok(mut screen) => screen.next().await.map(|_| ()),
            Err(error) => Err(error),
        };
        let told = format!("{:#}", told.expect_err("there is no such order"));
        assert!(told.contains("NOT_FOUND"), "{told}");
    }

    let orders = service(&machine.servers, "orders").await?;
    for updates in join_all(screens.into_iter().map(Screen::to_the_end)).await {
        assert_eq!(story(&updates?), WHOLE[2..]);
    }
    machine.delivers(&lost.kept).await?;
    // Whoever sends a lost order again, with its key, has it again; and screens of it go on.
    assert_eq!(machine.place("gone").await?, lost.gone);
    let seen = machine.screen(&lost.gone[0], 5).await?.to_the_end().await?;
    let seen = story(&seen);
    assert!(seen.len() > 1 && WHOLE.ends_with(&seen), "{seen:?}");
    machine.delivers(&lost.gone).await?;
    let new = machine.place("new").await?;
    machine.delivers(&new).await?;
    agrees(&machine).await?;
    Ok((machine, orders))
}

/// The broker has every event of the log, and its consumer is through with all of them.
async fn agrees(machine: &Machine) -> Result<()> {
    let (log, broker) = (machine.servers.superuser(), machine.servers.nats_url("operator"));
    let missing = async || {
        let mut evidence = Evidence::default();
        audit::read(&mut evidence, &log, &broker)
            .await
            .expect("both can be read");
        let ledger = Ledger::new(&evidence, Demands { open: 0, early: 0 });
        assert_eq!(ledger.count("versions not 1..n"), 0, "{ledger}");
        ledger.count("events missing from the two streams")
    };
    eventually!(missing().await, |missing| *missing == 0);
    let last = machine.last_sequence("ORDER_CREATED").await;
    let consumer = ["consumer", "info", "ORDER_CREATED", "orders-saga", "--json"];
    let handled = async || {
        let info = machine.servers.nats(&consumer).await.expect("a consumer");
        let info: Value = serde_json::from_str(&info).expect("JSON");
        info["ack_floor"]["stream_seq"].as_u64()
    };
    eventually!(handled().await, |handled| *handled == last);
    Ok(())
}

/// What a service tells of messages that only the broker has: the check in `/readyz`, and the metric.
async fn told(service: &Service) -> Result<(Value, String)> {
    let report = reqwest::get(format!("{}/readyz", service.admin_url())).await?;
    let report: Value = report.error_for_status()?.json().await?;
    let metrics = service.metrics().await?;
    let mut lines = metrics.lines();
    let metric = lines.find(|line| line.starts_with("tiffin_relay_broker_ahead_messages{"));
    let (_, value) = metric
        .and_then(|line| line.split_once("} "))
        .context("no metric")?;
    Ok((report["checks"]["broker"].clone(), value.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_restored_beside_a_broker_that_has_seen_more() {
    let copy = async |servers: &Guarded| Ok(servers.postgres.base_backup().await);
    let lost = lost(copy).await.unwrap();
    let postgres = Postgres::from_base_backup(lost.backup.clone()).await;
    let servers = Guarded::over(postgres, lost.nats_store.clone()).await.unwrap();
    let (machine, orders) = goes_on(servers, &lost).await.unwrap();

    for (service, stream, common, messages) in [
        (&machine.api, "ORDER_CREATED", EACH, EACH),
        (&orders, "ORDER_UPDATED", EACH, 7 * EACH),
    ] {
        let (check, metric) = told(service).await.unwrap();
        let (first, end) = (common + 1, common + messages);
        let state = format!(
            "{stream} holds {messages} messages, {first} to {end}, whose events the log does not have"
        );
        assert_eq!((&check["ok"], &check["state"]), (&false.into(), &state.into()));
        assert_eq!(metric, messages.to_string());
        let output = service.process.output();
        let line = output.lines().find(|line| line.contains("broker ahead of store"));
        let line = line.expect("a line of the log");
        assert!(
            line.contains("nats stream backup") && line.contains(stream),
            "{line}"
        );
    }
    is_saved_and_shown(&machine.servers, &lost.gone).await.unwrap();
}

/// The commands of docs/operations.md.
async fn is_saved_and_shown(servers: &Guarded, gone: &[String]) -> Result<()> {
    let saved = scratch_folder("saved").join("ORDER_CREATED");
    let saved = saved.to_string_lossy();
    servers
        .nats(&["stream", "backup", "ORDER_CREATED", &saved])
        .await?;
    let translate = format!("--translate={} decode", program("tiffin").display());
    let shown = servers
        .nats(&[
            "sub",
            "--stream=ORDER_CREATED",
            "--start-sequence=6",
            "--count=5",
            &translate,
        ])
        .await?;
    for order in gone {
        let whole = |line: &&str| line.starts_with('{') && line.contains(order) && line.contains("gone");
        ensure!(shown.lines().filter(whole).count() == 1, "{order}: {shown}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_is_restored_beside_an_empty_broker() {
    let dump = scratch_folder("dump").join("tiffin.dump");
    let copy = async |servers: &Guarded| {
        let mut pg_dump = command(postgres_tool("pg_dump"));
        pg_dump.args(["--dbname", &servers.superuser(), "--format=custom", "--file"]);
        pg_dump.arg(&dump);
        said(pg_dump).await?;
        Ok(dump.clone())
    };
    let lost = lost(copy).await.unwrap();
    let servers = Guarded::start().await.unwrap();
    let mut pg_restore = command(postgres_tool("pg_restore"));
    pg_restore.args(["--clean", "--if-exists", "--exit-on-error", "--dbname"]);
    pg_restore.arg(servers.superuser()).arg(&lost.backup);
    said(pg_restore).await.unwrap();
    let (machine, orders) = goes_on(servers, &lost).await.unwrap();

    for service in [&machine.api, &orders] {
        let (check, metric) = told(service).await.unwrap();
        assert_eq!((&check["ok"], metric.as_str()), (&true.into(), "0"));
        let output = service.process.output();
        assert!(output.contains(r#""verdict":"Refill""#), "{output}");
        assert!(!output.contains("broker ahead of store"), "{output}");
    }
}
