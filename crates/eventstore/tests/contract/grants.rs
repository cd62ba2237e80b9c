//! What a role may do when programs of two versions have been there: PostgreSQL only.

use std::str::FromStr;

use tiffin_eventstore::{DatabaseUrl, Derived, EventStore, Grant, Granted, LogAccess, Migrations};
use tiffin_testkit::Postgres;

const OLD: Migrations = Migrations {
    sqlite: &[],
    postgres: &["CREATE TABLE dishes (name text)"],
};

/// The next version, whose program needs one more function of the log.
const NEW: Migrations = Migrations {
    sqlite: &[],
    postgres: &[OLD.postgres[0], "CREATE TABLE drinks (name text)"],
};

const fn grant(log: LogAccess, steps: Migrations) -> Grant {
    Grant {
        role: "waiter",
        log,
        schema: Some(("menu", steps)),
    }
}

#[tokio::test]
async fn an_older_program_takes_nothing_from_a_newer_one() {
    let postgres = Postgres::start().await;
    let database = postgres.database().await;
    postgres.execute(None, "CREATE ROLE waiter".to_owned()).await;
    let url = DatabaseUrl::from_str(&database.url).unwrap();
    let run = async |log, steps| {
        EventStore::migrate(&url).await.unwrap();
        Derived::migrate(&url, "menu", steps).await.unwrap();
        EventStore::grant(&url, &[grant(log, steps)]).await.unwrap()
    };
    let may = async || {
        let start = "SELECT oid::regprocedure FROM pg_proc WHERE proname = 'start_v1'";
        let ask = format!("SELECT has_function_privilege('waiter', ({start}), 'EXECUTE')");
        postgres.execute(Some(&database.name), ask).await
    };
    assert_eq!(run(LogAccess::Read, OLD).await, Granted::All);
    assert_eq!(may().await, "f");
    assert_eq!(run(LogAccess::Start, NEW).await, Granted::All);
    assert_eq!(may().await, "t");
    assert_eq!(run(LogAccess::Read, OLD).await, Granted::Newer { schema: "menu" });
    assert_eq!(may().await, "t");

    // A program of the same version takes away what is no longer needed.
    assert_eq!(run(LogAccess::Read, NEW).await, Granted::All);
    assert_eq!(may().await, "f");
    let later = "UPDATE log.schema_versions SET version = version + 1";
    postgres.execute(Some(&database.name), later.to_owned()).await;
    assert_eq!(run(LogAccess::Start, NEW).await, Granted::Newer { schema: "log" });
    assert_eq!(may().await, "f");
}
