//! What is read of a large log must be little, whatever it was like before: PostgreSQL only.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection};
use tiffin_eventstore::{Cursor, Direction, EventStore, Expected, Position, Revision};
use tiffin_testkit::eventually;

use crate::{
    derived::derived,
    world::{World, append, conflict, event, grow, on_postgres, shown, start},
};

/// So often that PostgreSQL has settled on a plan.
const USES: usize = 8;
/// How much the log then grows.
const STREAMS: i32 = 20_000;
/// More than all uses need, and far less than one look at every stream.
const FEW: i64 = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn plans_made_for_a_small_log_read_little_of_a_large_one() {
    let world = World::postgres().await;
    let mut config = world.config();
    // Whoever looks for the log's end while it is being filled meets all that is not committed yet.
    config.poll = Duration::from_hours(1);
    let store = world.store_with(config).await;
    grow(&store, "s", 3).await;
    let mut several = world.raw_postgres().await;
    // As the server does by itself sooner or later: now it knows how small the log is.
    several.execute("ANALYZE log.events").await.unwrap();
    use_all(&store, &mut several).await;
    let fill = "SELECT log.start_v1(0, gen_random_uuid(), array_agg('filled-' || n), array_agg(1), \
         array_agg(gen_random_uuid()), array_agg('t'::text), array_agg(''::bytea), array_agg(''::bytea)) \
         FROM generate_series(1, $1) n";
    let mut raw = world.raw_postgres().await;
    sqlx::query(fill).bind(STREAMS).execute(&mut raw).await.unwrap();
    // What filling read is told before what follows is counted.
    raw.execute("SELECT pg_stat_force_next_flush()").await.unwrap();
    let filling = rows_read(&world).await;
    use_all(&store, &mut several).await;
    // A connection tells what it read when it ends, at the latest.
    store.close().await;
    several.close().await.unwrap();
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
         AND backend_type = 'client backend'";
    eventually!(
        sqlx::query_scalar::<_, i64>(others)
            .fetch_one(&mut raw)
            .await
            .unwrap(),
        |open| *open == 0
    );
    let read = rows_read(&world).await - filling;
    assert!(read < FEW, "{read} rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_derived_is_found_by_its_index_though_it_was_small_when_it_was_first_looked_for() {
    let world = World::postgres().await;
    let store = world.store().await;
    let derived = derived(&world, &store).await;
    let mut raw = world.raw_postgres().await;
    let fill = "INSERT INTO service.seen SELECT n, 'me' FROM generate_series($1, $2) n";
    let fill = async |raw: &mut PgConnection, from: i32, to: i32| {
        sqlx::query(fill).bind(from).bind(to).execute(raw).await.unwrap();
    };
    fill(&mut raw, 1, 3).await;
    raw.execute("ANALYZE service.seen").await.unwrap();
    let look_for = async |position: i64| {
        let mut tx = derived.read().await.unwrap();
        let look = sqlx::query_scalar("SELECT by_whom FROM seen WHERE position = $1").bind(position);
        let found: Option<String> = look.fetch_optional(on_postgres(&mut tx)).await.unwrap();
        found.unwrap();
        // Its connection tells what it read, and serves the next.
        on_postgres(&mut tx)
            .execute("SELECT pg_stat_force_next_flush()")
            .await
            .unwrap();
        tx.rollback().await.unwrap();
    };
    for _ in 0..USES {
        look_for(1).await;
    }
    fill(&mut raw, 4, STREAMS).await;
    for _ in 0..USES {
        look_for(STREAMS.into()).await;
    }
    let read =
        "SELECT seq_tup_read FROM pg_stat_all_tables WHERE schemaname = 'service' AND relname = 'seen'";
    let read: i64 = sqlx::query_scalar(read).fetch_one(&mut raw).await.unwrap();
    assert!(read < FEW, "{read} rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_in_which_nobody_follows_the_log_does_not_read_it() {
    let world = World::postgres().await;
    let mut config = world.config();
    config.poll = Duration::from_millis(10);
    let (idle, busy) = (
        world.store_with(config.clone()).await,
        world.store_with(config).await,
    );
    let mut following = busy.subscribe(Cursor::START);
    let events = 512;
    for n in 0..40 {
        let append = start(&n.to_string(), (0..events).map(|_| event("x")).collect());
        busy.append(append).await.unwrap();
        while following.cursor().position.0 < (n + 1) * events {
            following.next().await.unwrap();
        }
    }
    assert_eq!(tail_reads(&idle), 0);
    let mut subscription = idle.subscribe(following.cursor());
    let mut n = 0;
    let mut reads_after_one_more = async || {
        n += 1;
        let next = append(&format!("followed-{n}"), Expected::NoStream, vec![event("x")]);
        let next = busy.append(next).await.unwrap().events;
        assert_eq!(subscription.next().await.unwrap(), next);
        tail_reads(&idle)
    };
    eventually!(reads_after_one_more().await, |reads| *reads > 0);
}

fn tail_reads(store: &EventStore) -> u64 {
    let text = shown(store);
    let reads = text
        .lines()
        .find_map(|line| line.strip_prefix("tiffin_store_tail_reads_total "));
    reads.unwrap().parse().unwrap()
}

/// Appends one at a time make groups of one, which are judged apart; `several` appends two.
async fn use_all(store: &EventStore, several: &mut PgConnection) {
    let names = ["s".into(), "t".into()];
    for _ in 0..USES {
        let both = "SELECT actual FROM log.append_v1(0, gen_random_uuid(), ARRAY['s', 'u'], ARRAY[-1, -1]::bigint[], \
             ARRAY[1, 1], ARRAY[gen_random_uuid(), gen_random_uuid()], ARRAY['t', 't'], ARRAY[''::bytea, ''::bytea], \
             ARRAY[''::bytea, ''::bytea])";
        let actual: Vec<i64> = sqlx::query_scalar(both).fetch_one(&mut *several).await.unwrap();
        assert!(actual[0] >= 2, "{actual:?}");
        conflict(
            store
                .append(append("s", Expected::NoStream, vec![event("x")]))
                .await,
        );
        let one_more = append("t", Expected::Any, vec![event("x")]);
        store.append(one_more).await.unwrap();
        store.read_streams(&names).await.unwrap();
        for direction in [Direction::Forwards, Direction::Backwards] {
            store.read_all(Position(2), direction, 9).await.unwrap();
        }
        store.head().await.unwrap();
        for (direction, from) in [(Direction::Forwards, 0), (Direction::Backwards, 9)] {
            store
                .read_stream(&names[0], Revision(from), direction, 9)
                .await
                .unwrap();
        }
    }
}

/// How many rows and entries of indexes were read from the log up to now.
async fn rows_read(world: &World) -> i64 {
    let read = "SELECT (SELECT sum(idx_tup_read) FROM pg_stat_all_indexes WHERE schemaname = 'log')::bigint \
         + (SELECT sum(seq_tup_read) FROM pg_stat_all_tables WHERE schemaname = 'log')::bigint";
    let mut connection = world.raw_postgres().await;
    sqlx::query_scalar(read).fetch_one(&mut connection).await.unwrap()
}
