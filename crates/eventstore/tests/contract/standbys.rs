//! What is told of a database's standbys, and to whom: PostgreSQL only.

use std::str::FromStr;

use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tiffin_eventstore::{DatabaseUrl, EventStore, Grant, LogAccess, Replication, Standbys};
use tiffin_testkit::{Database, Postgres, eventually};

use crate::world::{World, event, shown, start};

/// The same database, to another role.
fn as_role(database: &Database, role: &str) -> DatabaseUrl {
    let url = database.url.replacen("//postgres@", &format!("//{role}@"), 1);
    DatabaseUrl::from_str(&url).unwrap()
}

async fn known(store: &EventStore) -> Option<Standbys> {
    match store.replication().await.unwrap() {
        Replication::Known(standbys) => Some(standbys),
        Replication::None | Replication::Hidden => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_told_of_standbys_once_the_owner_of_the_log_may_be() {
    let postgres = Postgres::start().await;
    let database = postgres.database().await;
    for role in ["keeper", "reader"] {
        let create = format!("CREATE ROLE {role} LOGIN");
        postgres.execute(None, create).await;
    }
    let allow = async |sql: &str| postgres.execute(Some(&database.name), sql.to_owned()).await;
    allow(&format!("GRANT CREATE ON DATABASE {} TO keeper", database.name)).await;
    let keeper = as_role(&database, "keeper");
    EventStore::migrate(&keeper).await.unwrap();

    let options = PgConnectOptions::from_str(&database.url).unwrap();
    let mut reader: PgConnection = options.username("reader").connect().await.unwrap();
    let ask = "SELECT synchronous FROM log.replication_v1()";
    allow("GRANT USAGE ON SCHEMA log TO reader").await;
    let refused = sqlx::query_scalar::<_, Option<i64>>(ask)
        .fetch_one(&mut reader)
        .await;
    assert!(refused.unwrap_err().to_string().contains("permission denied"));
    let grant = Grant {
        role: "reader",
        log: LogAccess::Read,
        schema: None,
    };
    EventStore::grant(&keeper, &[grant]).await.unwrap();
    let mut told = async || {
        let told = sqlx::query_scalar::<_, Option<i64>>(ask).fetch_one(&mut reader);
        told.await.unwrap()
    };
    assert_eq!(told().await, None);

    let config = tiffin_eventstore::Config::new(keeper);
    let store = EventStore::open(config).await.unwrap();
    assert_eq!(store.replication().await.unwrap(), Replication::Hidden);
    assert!(!shown(&store).contains("tiffin_database_standbys"));
    allow("GRANT pg_read_all_stats TO keeper").await;
    let none = Standbys {
        synchronous: 0,
        asynchronous: 0,
        lag: std::time::Duration::ZERO,
        lag_bytes: 0,
        retained_bytes: 0,
    };
    assert_eq!(known(&store).await, Some(none));
    assert_eq!(told().await, Some(0));

    let standby = postgres.synchronous_standby().await;
    eventually!(known(&store).await.unwrap().synchronous, |count| *count == 1);
    let line = "tiffin_database_standbys{mode=\"synchronous\"} 1\n";
    assert!(shown(&store).contains(line), "{}", shown(&store));
    standby.kill().await;
    eventually!(known(&store).await.unwrap().synchronous, |count| *count == 0);
    standby.start_again().await;
    eventually!(known(&store).await.unwrap().synchronous, |count| *count == 1);
}

#[tokio::test]
async fn a_file_has_no_standbys() {
    let store = World::sqlite().store().await;
    assert_eq!(store.replication().await.unwrap(), Replication::None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_only_reads_refuses_to_write_until_it_writes_however_often_it_is_read() {
    let postgres = Postgres::start().await;
    let world = World::Postgres(postgres.database().await);
    let store = world.store().await;
    let only_read = async |yes: &str| {
        let set = format!("ALTER SYSTEM SET default_transaction_read_only = {yes}");
        postgres.execute(None, set).await;
        postgres.execute(None, "SELECT pg_reload_conf()".to_owned()).await;
        // By the time that a new connection knows of it, the others have been told.
        let set = async || {
            postgres
                .execute(None, "SHOW default_transaction_read_only".to_owned())
                .await
        };
        eventually!(set().await, |set| set.trim() == yes);
    };
    only_read("on").await;
    let appending = tokio::spawn({
        let store = store.clone();
        async move { store.append(start("s", vec![event("1")])).await }
    });
    eventually!(store.trouble(), Option::is_some);
    let line = "tiffin_database_writable{schema=\"log\"} 0\n";
    for _ in 0..3 {
        store.head().await.unwrap();
        assert!(shown(&store).contains(line), "{}", shown(&store));
    }
    only_read("off").await;
    appending.await.unwrap().unwrap();
    assert!(store.trouble().is_none());
}
