//! The README's lines do what it says, copied as they stand.

use std::{env, fs, process::Stdio, time::Duration};

use tiffin_testkit::{NatsServer, Postgres, command, eventually, free_port, program, workspace};
use tiffin_tests::{
    client::{After, Client, Outcome, id},
    stack::{API_KEY, Dev, waits},
};

/// The key and the address that the README has from `make run`.
const KEY: &str = "da2-tiffindevelopmentkey000000";
const ADDRESS: &str = "http://127.0.0.1:8080";

/// The fenced blocks of a Markdown text, in order, with their languages.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let fenced = text.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).collect()
}

/// The text in one line, without what differs from run to run: ids, and the pause before a reconnection. An answer over
/// HTTP ends without a new line.
fn the_same_in_every_run(text: &str) -> String {
    let uuid = |word: &str| word.len() == 36 && word.matches('-').count() == 4;
    let mut text: String = text.split_whitespace().collect();
    if let Some((before, after)) = text.split_once("retry:") {
        text = [
            before,
            after.trim_start_matches(|letter: char| letter.is_ascii_digit()),
        ]
        .concat();
    }
    let words: Vec<_> = text
        .split('"')
        .map(|word| if uuid(word) { "ID" } else { word })
        .collect();
    words.join("\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_placed_and_watched_by_the_lines_of_the_readme() {
    let nats = NatsServer::start().await;
    let dev = Dev::start(&nats, &waits(["1s", "1s", "1s", "1s"])).await.unwrap();
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let blocks = blocks(&readme);
    let lines = |wanted: &str| {
        let of = blocks.iter().filter(move |(language, body)| {
            *language == wanted && (wanted != "sh" || body.contains("curl "))
        });
        of.map(|(_, body)| *body).collect::<String>()
    };
    let script = lines("sh")
        .replace(ADDRESS, &dev.service.url())
        .replace(KEY, API_KEY);
    let mut shell = command("bash");
    shell.args(["-euc", &format!("exec 2>&1\n{script}")]);
    let output = tokio::task::spawn_blocking(move || shell.output())
        .await
        .unwrap()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected = [lines("json"), lines("text")].concat();
    assert_eq!(the_same_in_every_run(&printed), the_same_in_every_run(&expected));
}

/// How long services that have a database to open may take until they are ready.
const START: Duration = Duration::from_secs(30);

/// The key that the README has for the three services.
const SERVICES_KEY: &str = "a-key-that-nobody-guesses";

/// The README's lines that start the three services, but for those by which they are built and found.
fn lines_of_the_services() -> String {
    let readme = fs::read_to_string(workspace().join("README.md")).expect("there is a README");
    let started = |(_, body): &(&str, &str)| body.contains("tiffin migrate");
    let (_, body) = blocks(&readme)
        .into_iter()
        .find(started)
        .expect("they are started");
    let wanted = |line: &&str| !line.starts_with("cargo build ") && !line.starts_with("export PATH=");
    body.lines().filter(wanted).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_run_on_postgresql_by_the_lines_of_the_readme() {
    let (database, nats) = (
        Postgres::shared().await.database().await,
        NatsServer::start().await,
    );
    let mut script = lines_of_the_services();
    let address = |port| format!("127.0.0.1:{port}");
    let [api, admin, notifier, orders_admin, notifier_admin] = [(); 5].map(|()| address(free_port()));
    for (written, used) in [
        ("postgres://tiffin@localhost/tiffin", &database.url),
        ("nats://localhost:4222", &nats.url()),
        ("127.0.0.1:8081", &notifier),
        ("127.0.0.1:9465", &orders_admin),
        ("127.0.0.1:9466", &notifier_admin),
    ] {
        assert!(script.contains(written), "{written}: {script}");
        script = script.replace(written, used);
    }
    let programs = program("tiffin").parent().unwrap().display().to_string();
    let mut shell = command("bash");
    // They are stopped when the test lets go of the shell's input.
    let script = format!("trap 'kill $(jobs -p); wait' EXIT\n{script}\nread -r _ || true\n");
    shell.args(["-euc", &script]).stdin(Stdio::piped());
    shell.stdout(Stdio::null()).stderr(Stdio::null());
    shell
        .env(
            "PATH",
            format!("{programs}:{}", env::var("PATH").unwrap_or_default()),
        )
        .env("TIFFIN_LISTEN", &api)
        .env("TIFFIN_ADMIN_LISTEN", &admin);
    let mut shell = shell.spawn().unwrap();
    for admin in [admin, orders_admin, notifier_admin] {
        let ready = async || {
            let answer = reqwest::get(format!("http://{admin}/readyz")).await;
            answer.is_ok_and(|answer| answer.status().is_success())
        };
        eventually!(within START, ready().await, |ready| *ready);
    }
    let url = |address: &str| [format!("http://{address}")];
    let client = Client::new(&url(&api), &url(&notifier), SERVICES_KEY);
    let Outcome::Done(order) = client.create("Dal", None).await else {
        panic!("an order is not taken");
    };
    let mut updates = client.watch(id(&order), After::Version(0)).await.unwrap();
    let first = updates.next().await.unwrap().unwrap().json().unwrap();
    assert_eq!(first["data"]["onOrderUpdated"]["status"], "PENDING");
    drop(shell.stdin.take());
    tokio::task::spawn_blocking(move || shell.wait())
        .await
        .unwrap()
        .unwrap();
}
