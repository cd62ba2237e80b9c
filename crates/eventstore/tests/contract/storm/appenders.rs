//! Those who append: tasks, and processes that are killed and started again.

use std::{env, path::PathBuf, process::Command, sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tiffin_eventstore::{Append, AppendError, EventStore, Expected, Urgency};
use tiffin_testkit::{Process, command, scratch_folder};
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::JoinSet,
};
use uuid::Uuid;

use super::{Run, config};
use crate::world::{append, event, exact};

/// How many appenders a process has.
const APPENDERS: u64 = 48;

/// Appends with many tasks until the log is full, and hands on the ids that were acknowledged.
pub(super) async fn append_from(
    store: &EventStore,
    run: &Arc<Run>,
    first: u64,
    mut hand_on: impl FnMut(Vec<Uuid>),
) {
    let (sender, mut acknowledged) = unbounded_channel();
    let mut tasks = JoinSet::new();
    for n in first..first + APPENDERS {
        tasks.spawn(appender(store.clone(), Arc::clone(run), n, sender.clone()));
    }
    drop(sender);
    while let Some(ids) = acknowledged.recv().await {
        hand_on(ids);
    }
    tasks.join_all().await;
}

/// Appends to new streams, to its own, to those of others and to a few that all share, and tells what was acknowledged.
async fn appender(store: EventStore, run: Arc<Run>, n: u64, acknowledged: UnboundedSender<Vec<Uuid>>) {
    let mut dice = StdRng::seed_from_u64(run.seed ^ n);
    let mut streams = 0_u64;
    while run.goes_on() {
        let events: Vec<_> = (0..dice.random_range(1..=3)).map(|_| event("storm")).collect();
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        let mine = format!("own-{n}-{streams}");
        let next = match dice.random_range(0..10) {
            0 => append(
                &format!("shared-{}", dice.random_range(0..4)),
                Expected::Any,
                events,
            ),
            1 => append(
                &format!("own-{}-1", dice.random_range(0..2 * APPENDERS)),
                exact(dice.random_range(0..4)),
                events,
            ),
            2..5 => {
                streams += 1;
                let name = format!("own-{n}-{streams}");
                Append {
                    urgency: Urgency::Start,
                    ..append(&name, Expected::NoStream, events)
                }
            }
            _ => append(&mine, Expected::StreamExists, events),
        };
        let given_up = dice.random_bool(0.01);
        if given_up {
            // A caller that dies: nobody knows what became of it.
            let _ = tokio::time::timeout(Duration::from_micros(300), store.append(next)).await;
            continue;
        }
        match store.append(next).await {
            Ok(appended) => {
                run.has_come_to(appended.events.last().unwrap().position);
                // Whoever listens has gone only if the test fails.
                let _ = acknowledged.send(ids);
            }
            Err(AppendError::Conflict { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// What a process is told, and how it tells an acknowledged append.
const URL: &str = "TIFFIN_STORM_URL";
const SEED: &str = "TIFFIN_STORM_SEED";
const FIRST: &str = "TIFFIN_STORM_FIRST";
const ACKNOWLEDGED: &str = "acknowledged";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process of its own, which the storm starts"]
async fn a_process_that_appends() {
    let Ok(url) = env::var(URL) else { return };
    let number = |name| env::var(name).unwrap().parse().unwrap();
    let store = EventStore::open(config(url.parse().unwrap())).await.unwrap();
    let run = Run::new(number(SEED));
    run.has_come_to(store.head().await.unwrap().position);
    append_from(&store, &run, number(FIRST), |ids| {
        let ids: Vec<_> = ids.iter().map(Uuid::to_string).collect();
        println!("{ACKNOWLEDGED} {}", ids.join(" "));
    })
    .await;
    store.close().await;
}

/// Processes that append to a log that they share; one after the other is killed and replaced.
pub(super) struct Processes {
    url: String,
    folder: PathBuf,
    started: u64,
    acknowledged: Vec<Uuid>,
}

impl Processes {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            folder: scratch_folder("storm"),
            started: 0,
            acknowledged: Vec::new(),
        }
    }

    /// Until the log is full; returns the ids that were acknowledged.
    pub(super) async fn run(mut self, run: Arc<Run>, mut dice: StdRng) -> Vec<Uuid> {
        let mut running = [self.start(&run), self.start(&run)];
        while run.goes_on() {
            tokio::time::sleep(Duration::from_millis(dice.random_range(300..2_000))).await;
            let process = &mut running[dice.random_range(0..2)];
            let ended = process.ended();
            assert!(ended.is_none_or(|status| status.success()), "{ended:?}");
            process.kill();
            self.collect(process);
            *process = self.start(&run);
        }
        for process in running {
            let waiting =
                tokio::task::spawn_blocking(move || (process.wait(Duration::from_mins(1)), process));
            let (status, process) = waiting.await.unwrap();
            assert!(status.success(), "{status}");
            self.collect(&process);
        }
        println!(
            "{} processes appended, all but the last two were killed",
            self.started
        );
        self.acknowledged
    }

    fn start(&mut self, run: &Run) -> Process {
        self.started += 1;
        let mut process: Command = command(env::current_exe().unwrap());
        process
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "storm::appenders::a_process_that_appends",
            ])
            .env(URL, &self.url)
            .env(SEED, run.seed.to_string())
            .env(FIRST, (self.started * APPENDERS).to_string());
        let output = self.folder.join(self.started.to_string());
        Process::start("a process that appends", process, &output)
    }

    /// A process that is killed may leave half a line.
    fn collect(&mut self, process: &Process) {
        for line in process.output().lines() {
            if let Some(ids) = line.strip_prefix(ACKNOWLEDGED) {
                self.acknowledged
                    .extend(ids.split_whitespace().filter_map(|id| id.parse::<Uuid>().ok()));
            }
        }
    }
}
