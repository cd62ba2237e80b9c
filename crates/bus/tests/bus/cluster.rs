//! The relay against three servers that keep a stream together.

use anyhow::Context as _;
use tiffin_bus::StreamSpec;
use tiffin_testkit::eventually;

use crate::world::{EVENTS, World, jetstream, stored};

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_in_mid_publishing_costs_nothing() -> anyhow::Result<()> {
    let (world, servers) = World::on_a_cluster().await?;
    let replicated = StreamSpec {
        replicas: 3,
        ..EVENTS
    };
    let _relay = world.relay_with("events", "one", replicated).await?;
    for _ in 0..2 {
        world.append(4).await?;
        let before = world.relayed_exactly().await?.len();
        let url = world.server.url();
        let name = leader(&url).await?;
        let leader = servers.iter().find(|server| server.is_called(&name));
        let leader = leader.context("a server of the cluster leads")?;
        let killing = async {
            let published = async || stored(&url).await.unwrap_or_default().len();
            eventually!(published().await, |found| *found > before);
            leader.kill().await;
            Ok(())
        };
        tokio::try_join!(world.append(2_000), killing)?;
        leader.restart().await;
    }
    world.relayed_exactly().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_gets_the_replicas_that_it_lacks_and_keeps_what_was_set_by_hand() -> anyhow::Result<()> {
    let (world, _servers) = World::on_a_cluster().await?;
    // Whose turn it is, what it asks for, and how many there are then.
    let turns = [
        ("one", 1, 1, 1),
        ("two", 3, 1, 3),
        ("three", 1, 1, 3),
        ("four", 1, 2, 3),
    ];
    for (holder, replicas, version, there) in turns {
        let spec = StreamSpec {
            replicas,
            version,
            ..EVENTS
        };
        let relay = world.relay_with("events", holder, spec).await?;
        world.append(4).await?;
        world.relayed_exactly().await?;
        let config = world.stream_config().await?;
        assert_eq!(config.num_replicas, there, "{holder}");
        let thresholds = config.metadata.contains_key("io.nats.monitor.peer-expect");
        assert_eq!(thresholds, there > 1, "{holder}: {:?}", config.metadata);
        if version == EVENTS.version {
            let by_hand = 77_777;
            assert!(holder == "one" || config.max_messages == by_hand, "{holder}");
            world.edit_stream(|config| config.max_messages = by_hand).await?;
        }
        relay.stop().await?;
    }
    Ok(())
}

async fn leader(url: &str) -> anyhow::Result<String> {
    let mut stream = jetstream(url).await?.get_stream(EVENTS.name).await?;
    let cluster = stream.info().await?.cluster.as_ref().context("a cluster")?;
    cluster.leader.clone().context("a leader")
}
