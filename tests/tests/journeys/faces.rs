//! What a service says of itself to whoever runs it, and to whoever knocks at the wrong door.

use tiffin_testkit::{NatsServer, Postgres, ServiceSpec, eventually};
use tiffin_tests::stack::migrate;

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
