//! Very many events from two writers that are slowed, rolled back and killed, and a follower that starts at a random
//! moment. `TIFFIN_TEST_EVENTS` sets their number.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::Connection;
use tiffin_eventstore::{
    Append, AppendError, Config, Cursor, Direction, EventStore, Expected, Position, Revision, Urgency,
};
use tiffin_testkit::eventually;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::world::{World, append, event, exact};

/// How many appenders each writer has.
const APPENDERS: u64 = 48;

fn wanted() -> u64 {
    std::env::var("TIFFIN_TEST_EVENTS").map_or(100_000, |events| events.parse().expect("a number"))
}

/// What all parts of a run share.
struct Run {
    acknowledged: AtomicU64,
    wanted: u64,
    over: AtomicBool,
}

impl Run {
    fn goes_on(&self) -> bool {
        self.acknowledged.load(Ordering::Relaxed) < self.wanted
    }
}

pub(crate) async fn a_follower_misses_and_repeats_none_of_very_many_events(world: World) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let run = Arc::new(Run {
        acknowledged: 0.into(),
        wanted: wanted(),
        over: false.into(),
    });
    let [one, two, three] = stores(&world).await;

    let mut appenders = JoinSet::new();
    for n in 0..2 * APPENDERS {
        let writer = if n % 2 == 0 { &one } else { &two };
        appenders.spawn(appender(writer.clone(), Arc::clone(&run), seed ^ n, n));
    }
    let saboteur = tokio::spawn({
        let (run, dice) = (Arc::clone(&run), StdRng::seed_from_u64(seed.rotate_left(1)));
        async move {
            sabotage(&world, &run, dice).await;
            world
        }
    });
    // It starts while others append, from the beginning or from where the log then ends.
    let begin = dice.random_range(0..run.wanted / 2);
    eventually!(within Duration::from_mins(10), run.acknowledged.load(Ordering::Relaxed), |count| *count >= begin);
    let from = if dice.random() {
        three.head().await.unwrap()
    } else {
        Cursor::START
    };
    // One beside a writer, whose memory is fed by both, and one in a process that only reads.
    let following = [&one, &three].map(|store| tokio::spawn(follow(store.clone(), from, Arc::clone(&run))));

    let written = appenders.join_all().await.concat();
    run.over.store(true, Ordering::Relaxed);
    let _world = saboteur.await.unwrap();
    let end = one.head().await.unwrap();
    three.nudge(end.position);
    for following in following {
        let followed = following.await.unwrap();
        let committed = end.position.0 - from.position.0;
        assert_eq!(followed.len() as u64, committed, "none missed, none repeated");
        check(&one, &written, &followed, from).await;
    }
    println!(
        "{} events acknowledged, {} in the log, followed from {from}",
        written.len(),
        end.position
    );
}

/// Two that write and one that follows; one and the same where there can be no other.
async fn stores(world: &World) -> [EventStore; 3] {
    let config = Config {
        tail_bytes: 4 * 1024 * 1024,
        poll: Duration::from_millis(100),
        ..world.config()
    };
    let one = world.store_with(config.clone()).await;
    if world.is_shared() {
        [
            one,
            world.store_with(config.clone()).await,
            world.store_with(config).await,
        ]
    } else {
        [one.clone(), one.clone(), one]
    }
}

/// Appends to new streams, to its own, to those of others and to a few that all share. Returns the ids acknowledged.
async fn appender(store: EventStore, run: Arc<Run>, seed: u64, n: u64) -> Vec<Uuid> {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut acknowledged = Vec::new();
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
            Ok(_) => {
                run.acknowledged.fetch_add(ids.len() as u64, Ordering::Relaxed);
                acknowledged.extend(ids);
            }
            Err(AppendError::Conflict { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    acknowledged
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

/// Holds writers up, appends and rolls back, dies in the middle, kills the writers' connections.
async fn sabotage(world: &World, run: &Run, mut dice: StdRng) {
    while run.goes_on() {
        tokio::time::sleep(Duration::from_millis(dice.random_range(5..50))).await;
        let pause = Duration::from_millis(dice.random_range(1..30));
        match world {
            World::Sqlite(_) => {
                let mut raw = world.raw_sqlite().await;
                let tx = raw.begin_with("BEGIN IMMEDIATE").await.unwrap();
                tokio::time::sleep(pause).await;
                tx.rollback().await.unwrap();
            }
            World::Postgres(_) => sabotage_postgres(world, pause, &mut dice).await,
        }
    }
}

async fn sabotage_postgres(world: &World, pause: Duration, dice: &mut StdRng) {
    const KILL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = 'tiffin' AND datname = current_database() ORDER BY random() LIMIT 1";
    let mut raw = world.raw_postgres().await;
    if dice.random_bool(0.2) {
        sqlx::query(KILL).execute(&mut raw).await.unwrap();
        return;
    }
    let mut tx = raw.begin().await.unwrap();
    let call = "SELECT FROM log.start_v1(0, $1, ARRAY[$2], '{1}', ARRAY[$1], '{t}', '{x}', '{x}')";
    let id = Uuid::now_v7();
    sqlx::query(call)
        .bind(id)
        .bind(format!("sabotage-{id}"))
        .execute(&mut *tx)
        .await
        .unwrap();
    tokio::time::sleep(pause).await;
    match dice.random_range(0..3) {
        0 => tx.commit().await.unwrap(),
        1 => tx.rollback().await.unwrap(),
        // The connection ends in the middle of the transaction.
        _ => drop(tx),
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
