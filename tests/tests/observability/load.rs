//! A stack that has something to tell.

use futures::future::join_all;
use tiffin_tests::{
    client::{After, Client, Outcome, id},
    screen::{Clock, Screen},
    stack::Stack,
};

/// Places orders of which one is cancelled, watches each to its end, and has one refused.
pub(crate) async fn load(stack: &Stack, round: u32) {
    let (client, clock) = (stack.client(), Clock::read().await.expect("a clock"));
    join_all((0..10).map(|number| follow(&client, clock, round, number))).await;
    let refused = client.create("", None).await;
    assert!(matches!(refused, Outcome::Refused(_)), "{refused:?}");
}

async fn follow(client: &Client, clock: Clock, round: u32, number: u32) {
    let key = format!("the key of order {number} in round {round}");
    let order = client.place("Dal", &key).await.expect("an order");
    let screen = Screen::new(client, id(&order), After::Version(0), clock).await;
    let screen = screen.expect("a subscription");
    if number == 0 {
        client.call_off(id(&order)).await.expect("a cancellation");
    }
    screen.to_the_end().await.expect("updates");
}
