//! Requests and services against a real server, and as the `nats` command line shows them.

use std::time::Duration;

use crate::world::World;
use bytes::Bytes;
use tiffin_bus::{Bus, Endpoint, RequestError, ServiceError, ServiceSpec, serve};
use tiffin_testkit::{command, eventually, nats_cli};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(5);

fn kitchen(answer: &'static str) -> ServiceSpec {
    let cook = Endpoint::new("cook", "kitchen.cook", move |request| async move {
        if request.payload.is_empty() {
            return Err(ServiceError {
                code: 400,
                message: "nothing to cook".to_owned(),
            });
        }
        Ok(Bytes::from(format!(
            "{answer}: {}",
            String::from_utf8_lossy(&request.payload)
        )))
    });
    let endpoints = vec![cook];
    ServiceSpec {
        name: "kitchen",
        version: "1.2.3",
        description: "Cooks",
        endpoints,
    }
}

/// Tells of each request that it has begun, and answers them when it may.
fn simmer(begun: mpsc::UnboundedSender<()>, done: CancellationToken) -> Endpoint {
    Endpoint::new("simmer", "kitchen.simmer", move |request| {
        let (begun, done) = (begun.clone(), done.clone());
        async move {
            begun.send(()).ok();
            done.cancelled().await;
            Ok(request.payload)
        }
    })
}

async fn answered(bus: &Bus) -> Option<Bytes> {
    bus.request("kitchen.cook", "rice".into(), PATIENCE).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_gets_its_answer_or_a_typed_error() -> anyhow::Result<()> {
    let world = World::start().await?;
    let client = world.connected("client").await?;
    let unserved = client.request("kitchen.cook", "rice".into(), PATIENCE).await;
    assert!(
        matches!(unserved, Err(RequestError::NoResponders)),
        "{unserved:?}"
    );

    let mut slow = kitchen("cooked");
    let (begun, _begins) = mpsc::unbounded_channel();
    slow.endpoints.push(simmer(begun, world.token.clone()));
    tokio::spawn(serve(
        world.connected("kitchen").await?,
        slow,
        world.token.clone(),
    ));
    let answer = eventually!(answered(&client).await, Option::is_some);
    assert_eq!(answer.as_deref(), Some(&b"cooked: rice"[..]));
    let refused = client.request("kitchen.cook", Bytes::new(), PATIENCE).await;
    let Err(RequestError::Service { code, message }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((code, message.as_str()), (400, "nothing to cook"));
    let late = client
        .request("kitchen.simmer", "rice".into(), Duration::from_millis(50))
        .await;
    assert!(matches!(late, Err(RequestError::TimedOut)), "{late:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_outlives_its_server_and_a_stopped_one_is_a_time_out() -> anyhow::Result<()> {
    let world = World::start().await?;
    let client = world.connected("client").await?;
    tokio::spawn(serve(
        world.connected("kitchen").await?,
        kitchen("cooked"),
        world.token.clone(),
    ));
    eventually!(answered(&client).await, Option::is_some);
    world.server.kill().await;
    let disconnected = async || {
        let answer = client.request("kitchen.cook", "rice".into(), PATIENCE).await;
        matches!(answer, Err(RequestError::Disconnected))
    };
    eventually!(disconnected().await, |disconnected| *disconnected);
    world.server.restart().await;
    eventually!(answered(&client).await, Option::is_some);
    world.server.pause();
    let unanswered = async || {
        let answer = client
            .request("kitchen.cook", "rice".into(), Duration::from_millis(300))
            .await;
        matches!(answer, Err(RequestError::TimedOut))
    };
    eventually!(unanswered().await, |unanswered| *unanswered);
    world.server.resume();
    eventually!(answered(&client).await, Option::is_some);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_the_requests_and_a_stopping_one_answers_what_it_has() -> anyhow::Result<()> {
    let world = World::start().await?;
    let client = world.connected("client").await?;
    let [one, other, done] = [(); 3].map(|()| CancellationToken::new());
    let (begun, mut begins) = mpsc::unbounded_channel();
    let kitchen = |answer| {
        let mut kitchen = kitchen(answer);
        kitchen.endpoints.push(simmer(begun.clone(), done.clone()));
        kitchen
    };
    let first = tokio::spawn(serve(
        world.connected("kitchen").await?,
        kitchen("one"),
        one.clone(),
    ));
    tokio::spawn(serve(
        world.connected("kitchen").await?,
        kitchen("other"),
        other.clone(),
    ));
    for name in [&b"one: rice"[..], &b"other: rice"[..]] {
        eventually!(answered(&client).await, |answer| answer.as_deref() == Some(name));
    }
    let simmering: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.request("kitchen.simmer", "rice".into(), PATIENCE).await })
        })
        .collect();
    for _ in &simmering {
        begins.recv().await;
    }
    one.cancel();
    done.cancel();
    first.await?;
    for request in simmering {
        assert_eq!(request.await??, "rice");
    }
    for _ in 0..10 {
        assert_eq!(answered(&client).await.as_deref(), Some(&b"other: rice"[..]));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_would_wait_too_long_is_refused_and_never_carried_out() -> anyhow::Result<()> {
    let world = World::start().await?;
    let client = world.connected("client").await?;
    let (begun, mut begins) = mpsc::unbounded_channel();
    let (done, mut slow) = (CancellationToken::new(), kitchen("cooked"));
    slow.endpoints.push(simmer(begun, done.clone()));
    let serving = serve(world.connected("kitchen").await?, slow, world.token.clone());
    tokio::spawn(serving);
    eventually!(answered(&client).await, Option::is_some);

    let asking = (0..300).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            client
                .request("kitchen.simmer", "rice".into(), 2 * PATIENCE)
                .await
        })
    });
    let asking: Vec<_> = asking.collect();
    // Those beyond 256 are told so; the others are still worked on.
    eventually!(
        asking.iter().filter(|asked| asked.is_finished()).count(),
        |refused| *refused == 300 - 256
    );
    done.cancel();
    for asked in asking {
        match asked.await? {
            Ok(answer) => assert_eq!(&*answer, b"rice"),
            Err(error) => assert!(
                matches!(error, RequestError::Service { code: 503, .. }),
                "{error:?}"
            ),
        }
    }
    begins.close();
    let mut begun = 0;
    while begins.recv().await.is_some() {
        begun += 1;
    }
    assert_eq!(begun, 256);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nats_program_lists_the_service() -> anyhow::Result<()> {
    let world = World::start().await?;
    let client = world.connected("client").await?;
    tokio::spawn(serve(
        world.connected("kitchen").await?,
        kitchen("cooked"),
        world.token.clone(),
    ));
    eventually!(answered(&client).await, Option::is_some);
    for (arguments, expected) in [
        (&["micro", "ls"][..], "kitchen"),
        (&["micro", "info", "kitchen"], "kitchen.cook"),
        (&["req", "kitchen.cook", "rice"], "cooked: rice"),
    ] {
        let url = world.server.url();
        let output = tokio::task::spawn_blocking(move || {
            command(nats_cli()).args(["-s", &url]).args(arguments).output()
        });
        let output = output.await??;
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains(expected),
            "{arguments:?}: {output:?}"
        );
    }
    Ok(())
}
