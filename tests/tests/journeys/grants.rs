//! Each service with a NATS user and a database role of its own does its work, and is refused everything else.

mod forbidden;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use serde_json::Value;
use tiffin_testkit::{Service, eventually};
use tiffin_tests::{
    client::{After, Client, id},
    guarded::Guarded,
    screen::{Clock, Screen, WHOLE, story},
    stack::{API_KEY, OPERATOR_KEY, waits},
};

use self::forbidden::{FORBIDDEN, NOBODYS, OTHERS, UNHEARD, UNPUBLISHED};

#[tokio::test(flavor = "multi_thread")]
async fn each_program_does_its_work_as_itself_and_is_refused_everything_else() {
    let guarded = Guarded::start().await.unwrap();
    let services = services(&guarded).await.unwrap();
    work(&guarded, &services).await.unwrap();
    let output = guarded.nats.output();
    let violations: Vec<_> = output.lines().filter(|line| line.contains("Violation")).collect();
    assert!(violations.is_empty(), "{violations:#?}");
    for service in &services {
        let output = service.process.output();
        assert!(!output.contains("permission denied"), "{output}");
    }
    look_as_a_relay_does(&guarded, "api", "ORDER_CREATED")
        .await
        .unwrap();
    look_as_a_relay_does(&guarded, "orders", "ORDER_UPDATED")
        .await
        .unwrap();
    for stream in ["ORDER_CREATED", "ORDER_UPDATED"] {
        follow(&guarded, stream).await.unwrap();
    }
    leave_the_consumer_of_orders_as_it_is(&guarded).await.unwrap();

    let kept = kept(&guarded).await.unwrap();
    drop(services);
    for (user, subjects) in UNPUBLISHED {
        let nobodys = if user == "operator" { &[][..] } else { &NOBODYS };
        for subject in subjects.iter().chain(nobodys) {
            let client = connected(&guarded, user).await.unwrap();
            client.publish(*subject, "{}".into()).await.unwrap();
            client.flush().await.unwrap();
            is_violation(&guarded, "Publish", user, subject).await;
        }
    }
    for (user, subjects) in UNHEARD {
        for subject in subjects {
            let client = connected(&guarded, user).await.unwrap();
            let _subscription = client.subscribe(*subject).await.unwrap();
            client.flush().await.unwrap();
            is_violation(&guarded, "Subscription", user, subject).await;
        }
    }
    for (role, statements) in OTHERS {
        for statement in FORBIDDEN.iter().chain(statements) {
            is_refused(&guarded, guarded.database(role), statement)
                .await
                .unwrap();
        }
        let elsewhere = format!("{}/postgres", guarded.database(role).trim_end_matches("/tiffin"));
        is_refused(&guarded, elsewhere, "SELECT").await.unwrap();
    }
    assert_eq!(self::kept(&guarded).await.unwrap(), kept);
    nobody_else_comes_in(&guarded).await.unwrap();
}

async fn services(guarded: &Guarded) -> Result<[Service; 3]> {
    let waits = waits(["0s", "1s", "0s", "0s"]);
    let start = |name| guarded.service(name, &waits);
    let (api, orders, notifier) = futures::join!(start("api"), start("orders"), start("notifier"));
    let services = [api?, orders?, notifier?];
    // They serve without NATS as well.
    for service in &services {
        let connected = async || {
            let ready = reqwest::get(format!("{}/readyz", service.admin_url())).await;
            ready.expect("it is ready").text().await.expect("a text")
        };
        eventually!(connected().await, |text| text.contains("connected to 2."));
    }
    Ok(services)
}

/// Everything that the services do: an order to its end, a cancellation, lists, and what operators ask for.
async fn work(guarded: &Guarded, [api, _orders, notifier]: &[Service; 3]) -> Result<()> {
    let client = |key| Client::new(&[api.url()], &[notifier.url()], key);
    let customer = client(API_KEY);
    let order = customer.place("soup", "an-order-to-its-end").await?;
    let screen = Screen::new(&customer, id(&order), After::Version(0), Clock::read().await?).await?;
    ensure!(
        story(&screen.to_the_end().await?) == WHOLE,
        "the order's story differs"
    );
    let other = customer.place("tea", "an-order-that-is-cancelled").await?;
    let cancelled = customer.call_off(id(&other)).await.map_err(anyhow::Error::msg)?;
    ensure!(cancelled["status"] == "CANCELLED", "{cancelled}");

    for (command, said) in [
        (&["rebuild", "orders"][..], ""),
        (
            &["republish", "shop", "--from", "start"],
            "messages are in the stream ORDER_AGAIN",
        ),
        (&["events", "tail", "--from", "start", "--limit", "3"], ""),
    ] {
        let output = guarded.tiffin(command).await?;
        ensure!(output.contains(said), "tiffin {command:?}: {output}");
    }
    let list = async || {
        let query = "query { orders(first: 10) { nodes { id status } } }";
        format!(
            "{:?}",
            client(OPERATOR_KEY).execute(query, Value::Null, "orders").await
        )
    };
    eventually!(list().await, |orders| orders.contains("DELIVERED")
        && orders.contains("CANCELLED"));

    // All of it went over NATS, nothing by the ways that do without.
    eventually!(kept(guarded).await.expect("streams"), |kept| kept
        .starts_with("2 "));
    let waiting = ["consumer", "info", "ORDER_CREATED", "orders-saga", "--json"];
    let acknowledged = async || guarded.nats(&waiting).await.expect("a consumer");
    eventually!(acknowledged().await, |info| {
        let info: Value = serde_json::from_str(info).expect("JSON");
        info["ack_floor"]["stream_seq"] == 2 && info["num_ack_pending"] == 0
    });
    watched_by_its_operator(guarded).await
}

/// What the `nats` command shows, with the thresholds that streams and consumers carry.
async fn watched_by_its_operator(guarded: &Guarded) -> Result<()> {
    let services = guarded.nats(&["micro", "ls"]).await?;
    ensure!(
        services.contains("orders") && services.contains("api"),
        "{services}"
    );
    for check in [
        &["server", "check", "stream", "--stream", "ORDER_CREATED"][..],
        &["server", "check", "stream", "--stream", "ORDER_UPDATED"],
        &[
            "server",
            "check",
            "consumer",
            "--stream",
            "ORDER_CREATED",
            "--consumer",
            "orders-saga",
        ],
    ] {
        let said = guarded.nats(check).await?;
        ensure!(said.starts_with("OK"), "{check:?}: {said}");
    }
    Ok(())
}

/// What a relay asks for only after a loss: a message, and those after it.
async fn look_as_a_relay_does(guarded: &Guarded, user: &str, stream: &str) -> Result<()> {
    use async_nats::jetstream::{self, consumer::pull};
    let context = jetstream::new(connected(guarded, user).await?);
    let stream = context.get_stream(stream).await?;
    stream.get_raw_message(1).await?;
    let config = pull::Config {
        name: Some("mine".to_owned()),
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await?;
    let mut messages = consumer.fetch().max_messages(1).messages().await?;
    let message = messages.next().await.context("no message")?;
    message.map_err(anyhow::Error::msg)?;
    Ok(())
}

/// What an integrator does: an ordered consumer of either kind, and messages one by one.
async fn follow(guarded: &Guarded, stream: &str) -> Result<()> {
    use async_nats::jetstream::{self, consumer::pull, consumer::push};
    let client = connected(guarded, "follower").await?;
    let inbox = client.new_inbox();
    let stream = jetstream::new(client).get_stream(stream).await?;
    stream.get_raw_message(1).await?;
    let first = stream.direct_get(1).await?;
    stream.direct_get_last_for_subject(first.subject.as_str()).await?;
    let config = pull::OrderedConfig {
        name: Some("pulled".to_owned()),
        ..pull::OrderedConfig::default()
    };
    let pulled = stream.create_consumer(config).await?;
    let pulled = pulled.messages().await?.next().await.context("no message")??;
    ensure!(pulled.subject == first.subject);
    let config = push::OrderedConfig {
        name: Some("pushed".to_owned()),
        deliver_subject: inbox,
        ..push::OrderedConfig::default()
    };
    let pushed = stream.create_consumer(config).await?;
    let pushed = pushed.messages().await?.next().await.context("no message")??;
    ensure!(pushed.subject == first.subject);
    Ok(())
}

/// Whoever may create consumers under other names cannot mean this one.
async fn leave_the_consumer_of_orders_as_it_is(guarded: &Guarded) -> Result<()> {
    let client = connected(guarded, "follower").await?;
    let info = ["consumer", "info", "ORDER_CREATED", "orders-saga", "--json"];
    let config = async || {
        let info: Value = serde_json::from_str(&guarded.nats(&info).await?)?;
        anyhow::Ok(info["config"].clone())
    };
    let before = config().await?;
    for name in ["name", "durable_name"] {
        let mut wanted = before.clone();
        wanted["durable_name"].take();
        wanted["name"].take();
        wanted[name] = "orders-saga".into();
        wanted["description"] = "taken over".into();
        let request = serde_json::json!({ "stream_name": "ORDER_CREATED", "config": wanted });
        let subject = "$JS.API.CONSUMER.CREATE.ORDER_CREATED.mine";
        client.request(subject, request.to_string().into()).await?;
        ensure!(config().await? == before, "{}", config().await?);
    }
    Ok(())
}

async fn connected(guarded: &Guarded, user: &str) -> Result<async_nats::Client> {
    let options = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), format!("pw-{user}"));
    let options = options.custom_inbox_prefix(format!("_INBOX_{user}"));
    Ok(options.connect(guarded.nats_url(user)).await?)
}

async fn is_violation(guarded: &Guarded, kind: &str, user: &str, subject: &str) {
    let [kind, user] = [format!("{kind} Violation"), format!("user:{user}\"")];
    let subject = format!("{subject:?}");
    let told = |line: &str| {
        [&kind, &user, &subject]
            .iter()
            .all(|word| line.contains(word.as_str()))
    };
    eventually!(guarded.nats.output(), |output| output.lines().any(told));
}

async fn is_refused(guarded: &Guarded, url: String, statement: &str) -> Result<()> {
    let output = guarded.sql(url, statement).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let refused = said.contains("permission denied") || said.contains("must be owner");
    ensure!(!output.status.success() && refused, "{statement}: {said}");
    Ok(())
}

/// A role that somebody else made may read nothing, whatever its password.
async fn nobody_else_comes_in(guarded: &Guarded) -> Result<()> {
    let create = "CREATE ROLE tiffin_stranger LOGIN PASSWORD 'stranger'".to_owned();
    guarded.postgres.execute(None, create).await;
    let url = guarded.database("stranger");
    let (_, server) = url.split_once('@').context("a server")?;
    let url = format!("postgres://tiffin_stranger:stranger@{server}");
    is_refused(guarded, url, "SELECT").await
}

/// How much there is in the streams and in the log.
async fn kept(guarded: &Guarded) -> Result<String> {
    let mut kept = Vec::new();
    for stream in ["ORDER_CREATED", "ORDER_UPDATED", "ORDER_AGAIN"] {
        let info: Value = serde_json::from_str(&guarded.nats(&["stream", "info", stream, "--json"]).await?)?;
        kept.push(info["state"]["messages"].to_string());
    }
    let count = "SELECT count(*) FROM log.events".to_owned();
    kept.push(guarded.postgres.execute(Some("tiffin"), count).await);
    Ok(kept.join(" "))
}
