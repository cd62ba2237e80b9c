//! A database that is restored under the running service.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tiffin_order::Status;
use tiffin_testkit::eventually;

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_the_restored_log_has_go_on_and_the_others_are_forgotten() {
    let (world, server) = World::restorable().await;
    let replica = world.replica([0, 3_600_000, 0, 3_600_000]).await;
    let kept = world.place().await;
    world.until(kept, Status::Paid, PATIENCE).await;
    eventually!(within PATIENCE, replica.metric("tiffin_orders_open{status=\"PAID\"}"), |open| *open == 1);
    server.back_up().await;
    let lost = world.place().await;
    world.until(lost, Status::Paid, PATIENCE).await;
    eventually!(within PATIENCE, replica.metric("tiffin_orders_open{status=\"PAID\"}"), |open| *open == 2);

    server.restore().await;
    eventually!(within PATIENCE, replica.metric("tiffin_orders_open{status=\"PAID\"}"), |open| *open == 1);
    let cancel = async |id: String| {
        let command = json!({ "id": id }).to_string();
        world
            .bus
            .request("orders.order.cancel", Bytes::from(command), PATIENCE)
            .await
            .unwrap()
    };
    let forgotten = eventually!(
        within PATIENCE,
        serde_json::from_slice::<serde_json::Value>(&cancel(lost.to_string()).await).unwrap(),
        |answer| answer["error"]["code"] != "UNAVAILABLE"
    );
    assert_eq!(forgotten["error"]["code"], "NOT_FOUND");
    cancel(kept.to_string()).await;
    world.until(kept, Status::Cancelled, PATIENCE).await;
    let new = world.place().await;
    world.until(new, Status::Paid, PATIENCE).await;
    replica.stop().await;
}
