//! Very many events from writers that are slowed, rolled back and killed, and a follower that starts at a random
//! moment. `TIFFIN_TEST_EVENTS` sets their number.

mod appenders;
mod sabotage;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tiffin_eventstore::{Config, Cursor, DatabaseUrl, Direction, EventStore, Position, Revision};
use tiffin_testkit::eventually;
use uuid::Uuid;

use self::{
    appenders::{Processes, append_from},
    sabotage::{quiet, sabotage},
};
use crate::world::World;

/// What all parts of a run share.
struct Run {
    seed: u64,
    /// The last position that is known.
    position: AtomicU64,
    wanted: u64,
    over: AtomicBool,
}

impl Run {
    fn new(seed: u64) -> Arc<Self> {
        let wanted = std::env::var("TIFFIN_TEST_EVENTS");
        Arc::new(Self {
            seed,
            position: 0.into(),
            wanted: wanted.map_or(100_000, |events| events.parse().expect("a number")),
            over: false.into(),
        })
    }

    fn has_come_to(&self, position: Position) {
        self.position.fetch_max(position.0, Ordering::Relaxed);
    }

    fn goes_on(&self) -> bool {
        self.position.load(Ordering::Relaxed) < self.wanted
    }
}

pub(crate) async fn a_follower_misses_and_repeats_none_of_very_many_events(world: World) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let run = Run::new(seed);
    let [one, other] = stores(&world).await;
    let world = Arc::new(world);

    let appending = tokio::spawn({
        let (store, run) = (one.clone(), Arc::clone(&run));
        async move {
            let mut acknowledged = Vec::new();
            append_from(&store, &run, 0, |ids| acknowledged.extend(ids)).await;
            acknowledged
        }
    });
    let processes = match world.url() {
        DatabaseUrl::Postgres(url) => {
            let dice = StdRng::seed_from_u64(seed.rotate_left(2));
            Some(tokio::spawn(Processes::new(&url).run(Arc::clone(&run), dice)))
        }
        DatabaseUrl::Sqlite(_) => None,
    };
    let saboteur = tokio::spawn({
        let (world, run) = (Arc::clone(&world), Arc::clone(&run));
        async move { sabotage(&world, &run, StdRng::seed_from_u64(seed.rotate_left(1))).await }
    });
    // It starts while others append, from the beginning or from where the log then ends.
    let begin = dice.random_range(0..run.wanted / 2);
    eventually!(within Duration::from_mins(10), run.position.load(Ordering::Relaxed), |position| *position >= begin);
    let from = if dice.random() {
        other.head().await.unwrap()
    } else {
        Cursor::START
    };
    // One beside a writer, whose memory is fed by both, and one in a store that only reads.
    let following = [&one, &other].map(|store| tokio::spawn(follow(store.clone(), from, Arc::clone(&run))));

    let mut acknowledged = appending.await.unwrap();
    if let Some(processes) = processes {
        acknowledged.extend(processes.await.unwrap());
    }
    saboteur.await.unwrap();
    quiet(&world).await;
    run.over.store(true, Ordering::Relaxed);
    let end = one.head().await.unwrap();
    other.nudge(end.position);
    for following in following {
        let followed = following.await.unwrap();
        let committed = end.position.0 - from.position.0;
        assert_eq!(followed.len() as u64, committed, "none missed, none repeated");
        check(&one, &acknowledged, &followed, from).await;
    }
    println!(
        "{} events acknowledged, {} in the log, followed from {from}",
        acknowledged.len(),
        end.position
    );
}

fn config(url: DatabaseUrl) -> Config {
    Config {
        tail_bytes: 4 * 1024 * 1024,
        poll: Duration::from_millis(100),
        ..Config::new(url)
    }
}

/// One that writes and one that only follows; one and the same where there can be no other.
async fn stores(world: &World) -> [EventStore; 2] {
    let one = world.store_with(config(world.url())).await;
    if world.is_shared() {
        [one, world.store_with(config(world.url())).await]
    } else {
        [one.clone(), one]
    }
}

async fn follow(store: EventStore, from: Cursor, run: Arc<Run>) -> Vec<Uuid> {
    let mut subscription = store.subscribe(from);
    let mut seen = Vec::new();
    loop {
        let next = tokio::time::timeout(Duration::from_secs(1), subscription.next()).await;
        for event in next.into_iter().flat_map(Result::unwrap) {
            assert_eq!(
                event.position.0,
                from.position.0 + seen.len() as u64 + 1,
                "positions follow on one another"
            );
            seen.push(event.id);
        }
        if run.over.load(Ordering::Relaxed) && subscription.cursor() == store.head().await.unwrap() {
            return seen;
        }
    }
}

/// The log is without gap and fork, holds each acknowledged event once, and the follower saw exactly it.
async fn check(store: &EventStore, acknowledged: &[Uuid], seen: &[Uuid], from: Cursor) {
    let mut places = HashMap::new();
    let mut revisions = HashMap::<_, u64>::new();
    let mut last = Cursor::START;
    loop {
        let batch = store
            .read_all(last.position, Direction::Forwards, 10_000)
            .await
            .unwrap();
        for event in &batch {
            assert_eq!(event.position.0, last.position.0 + 1);
            last = event.cursor();
            let next = revisions.entry(event.stream.clone()).or_default();
            assert_eq!(event.revision, Revision(*next), "{}", event.stream);
            *next += 1;
            assert_eq!(
                places.insert(event.id, event.position),
                None,
                "an event is in the log once"
            );
        }
        if batch.is_empty() {
            break;
        }
    }
    assert!(
        acknowledged.iter().all(|id| places.contains_key(id)),
        "an acknowledged event is in the log"
    );
    for (id, position) in seen.iter().zip(from.position.0 + 1..) {
        assert_eq!(places.get(id), Some(&Position(position)));
    }
}
