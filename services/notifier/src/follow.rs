//! Hands on what the feed brings, from the bus or from the log, to those who watch.

use std::sync::Arc;

use tiffin_bus::{Feed, FeedItem};
use tiffin_platform::spans;
use tiffin_trace::{Span, Tracer};

use crate::{
    decode::{self, News},
    hub::Hub,
    metrics::Metrics,
    update::Update,
};

/// Follows until the feed ends, which it does when the process stops.
pub(crate) async fn follow(mut feed: Feed, hub: Hub, metrics: Metrics, tracer: Tracer) {
    while let Some(item) = feed.next().await {
        let mut span = Span::default();
        let mut news = match item {
            FeedItem::Published {
                subject,
                payload,
                event_id,
                trace,
                ..
            } => {
                span = spans::process(&tracer, trace, &subject, event_id);
                decode::published(&subject, &payload, event_id)
            }
            FeedItem::Logged(event) => decode::logged(&event),
            FeedItem::Reset => {
                // What subscribers read before the feed began, or of another log, may lack what it does not bring.
                tracing::info!("every subscriber's order is read again");
                hub.read_again(None);
                News::Nothing
            }
        };
        if let News::Change(change) = &mut news {
            span.set(spans::ORDER_ID, change.order);
            // What the log brings is under its append.
            change.trace = span.context().or(change.trace);
        }
        match news {
            News::Change(change) => {
                metrics.arrived(change.at);
                hub.publish(&Arc::new(Update::from(change)));
            }
            News::Unclear(order) => hub.read_again(Some(order)),
            News::Nothing => {}
        }
    }
}
