//! The servers that tests rely on behave as the tests assume.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    process::Stdio,
    time::Duration,
};

use tiffin_testkit::{NatsServer, Postgres, eventually};

fn address(nats: &NatsServer) -> String {
    nats.url().trim_start_matches("nats://").to_owned()
}

#[tokio::test]
async fn a_nats_server_comes_back_on_its_port_and_ends_when_dropped() {
    let nats = NatsServer::start().await;
    let address = address(&nats);
    nats.kill().await;
    assert!(TcpStream::connect(&address).is_err());
    nats.restart().await;
    assert!(TcpStream::connect(&address).is_ok());
    nats.wipe().await;
    assert!(TcpStream::connect(&address).is_ok());
    drop(nats);
    eventually!(TcpListener::bind(&address).is_ok(), |free| *free);
}

#[tokio::test]
async fn each_test_gets_an_empty_database_of_a_shared_server() {
    let postgres = Postgres::shared().await;
    let (one, two) = tokio::join!(postgres.database(), postgres.database());
    assert_ne!(one.url, two.url);
    postgres
        .execute(Some(&one.name), "CREATE TABLE a_table ()".to_owned())
        .await;
    let tables = "SELECT count(*) FROM pg_class WHERE relname = 'a_table'";
    assert_eq!(postgres.execute(Some(&one.name), tables.to_owned()).await, "1");
    assert_eq!(postgres.execute(Some(&two.name), tables.to_owned()).await, "0");
}

#[tokio::test]
async fn a_postgres_of_ones_own_keeps_what_is_committed_over_a_restart_and_a_kill() {
    let postgres = Postgres::start().await;
    postgres.execute(None, "CREATE TABLE kept ()".to_owned()).await;
    let committed = "SELECT count(*) FROM pg_class WHERE relname = 'kept'";
    postgres.restart().await;
    assert_eq!(postgres.execute(None, committed.to_owned()).await, "1");
    postgres.kill().await;
    postgres.start_again().await;
    assert_eq!(postgres.execute(None, committed.to_owned()).await, "1");
    assert_eq!(postgres.execute(None, "SHOW fsync".to_owned()).await, "on");
}

/// The helper of the next test: starts both servers, says where they are, and is killed while it waits.
#[tokio::test]
#[ignore = "a helper process of another test"]
async fn hold_servers() {
    let nats = NatsServer::start().await;
    let postgres = Postgres::start().await;
    let database = postgres.database().await;
    let folder = tiffin_testkit::scratch_folder("held");
    let report = std::env::var("HOLD_SERVERS_REPORT").unwrap();
    fs::write(
        report,
        format!("{} {} {}", nats.url(), database.url, folder.display()),
    )
    .unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn nothing_outlives_a_test_program_that_is_killed() {
    let report = tiffin_testkit::scratch_folder("report").join("report");
    let mut holder = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hold_servers", "--ignored"])
        .env("HOLD_SERVERS_REPORT", &report)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let minute = Duration::from_mins(1);
    let said =
        eventually!(within minute, fs::read_to_string(&report).unwrap_or_default(), |said| !said.is_empty());
    let words: Vec<&str> = said.split(' ').collect();
    let nats = words[0].trim_start_matches("nats://").to_owned();
    let postgres = words[1].split(['@', '/']).nth(3).unwrap().to_owned();
    assert!(TcpStream::connect(&nats).is_ok());
    assert!(TcpStream::connect(&postgres).is_ok(), "{postgres}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually!(within minute, TcpStream::connect(&nats).is_err(), |gone| *gone);
    eventually!(within minute, TcpStream::connect(&postgres).is_err(), |gone| *gone);
    eventually!(within minute, fs::exists(words[2]).unwrap(), |there| !there);
}
