//! What a service says of itself to whoever runs it, and to whoever knocks at the wrong door.

use tiffin_testkit::{NatsServer, Postgres, ServiceSpec, command, eventually, program};
use tiffin_tests::stack::{API_KEY, Setting, Stack, migrate};

#[tokio::test]
async fn a_service_says_where_it_listens_and_that_without_a_key_nobody_is_let_in() {
    let (database, nats) = (
        Postgres::shared().await.database().await,
        NatsServer::start().await,
    );
    migrate(&database.url).await.unwrap();
    for name in ["tiffin-api", "tiffin-notifier"] {
        let service = ServiceSpec::new(name)
            .set("DATABASE_URL", &database.url)
            .set("TIFFIN_NATS_URL", nats.url())
            .start()
            .await;
        for url in [service.url(), service.admin_url()] {
            let address = url.trim_start_matches("http://").to_owned();
            eventually!(service.process.output(), |log| log
                .contains(&format!("\"address\":\"{address}\"")));
        }
        let log = service.process.output();
        let warning = log
            .lines()
            .find(|line| line.contains("\"WARN\""))
            .unwrap_or_default();
        assert!(warning.contains("TIFFIN_API_KEY or TIFFIN_KEYS"), "{log}");
    }
}

#[tokio::test]
async fn whoever_asks_the_wrong_service_is_told_what_it_has_and_not_that_there_is_no_order() {
    let stack = Stack::start(&Setting::default()).await.unwrap();
    let (api, notifier) = (stack.api[0].url(), stack.notifier[0].url());
    let hint = async |url: String| {
        let answer = reqwest::Client::new().post(url).send().await.unwrap();
        assert_eq!(answer.status(), 404);
        answer.text().await.unwrap()
    };
    let said = hint(format!("{api}/graphql/stream")).await;
    assert!(
        said.contains("POST queries and mutations to /graphql;") && !said.contains("/graphql/ws"),
        "{said}"
    );
    let said = hint(format!("{notifier}/graphql")).await;
    assert!(
        said.contains("/graphql/stream; queries and mutations are answered by tiffin-api"),
        "{said}"
    );

    for (server, order, expected) in [
        (api.clone(), "watch", "does not answer subscriptions"),
        (notifier, "get", "does not answer queries and mutations"),
        (
            format!("{api}/graphql"),
            "get",
            "does not answer queries and mutations",
        ),
    ] {
        let mut tiffin = command(program("tiffin"));
        tiffin.args(["order", order, "ID", "--server", &server, "--api-key", API_KEY]);
        let output = tokio::task::spawn_blocking(move || tiffin.output())
            .await
            .unwrap()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains(expected) && said.contains("TIFFIN_SERVER"),
            "{said}"
        );
    }
}
