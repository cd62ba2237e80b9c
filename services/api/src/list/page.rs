//! A page of the list, as the GraphQL contract asks for it.

use std::sync::Arc;

use tiffin_eventstore::{DerivedError, Direction, Position, RecordedEvent, StreamName};
use tiffin_graphql::{Cursor, Error, Listed, Listing, OrderView, Page};
use tiffin_proto::public_order;

use crate::{
    fault,
    orders::Orders,
    tables::{Entry, Look, Part},
    view::timeline,
};

/// A page as it is read, the newest order first.
struct Read {
    entries: Vec<Entry>,
    newer: bool,
    older: bool,
}

impl Orders {
    pub(crate) async fn page(&self, listing: &Listing) -> Result<Listed, Error> {
        let Read {
            entries,
            newer,
            older,
        } = self
            .list
            .reading(self.entries(listing))
            .await
            .map_err(|error| fault::derived(&error))?;
        let mut orders: Vec<_> = entries.iter().filter_map(view).collect();
        if listing.timelines {
            self.add_timelines(&mut orders).await?;
        }
        let place = |entry: &Entry| Cursor(entry.number.0);
        Ok(Listed {
            orders,
            ends: entries.first().map(place).zip(entries.last().map(place)),
            has_next: older,
            has_previous: newer,
        })
    }

    async fn entries(&self, listing: &Listing) -> Result<Read, DerivedError> {
        let Page {
            limit,
            last,
            after,
            before,
        } = listing.page;
        let mut look = self.list.look().await?;
        let whole = range(&mut look, listing).await?;
        // The newest come first, so what is after a place has lower numbers.
        let between = Part {
            above: before.map_or(whole.above, |Cursor(before)| whole.above.max(Position(before))),
            below: after.map_or(whole.below, |Cursor(after)| whole.below.min(Position(after))),
            direction: if last {
                Direction::Forwards
            } else {
                Direction::Backwards
            },
            limit: limit + 1,
            ..whole
        };
        let mut entries = look.page(&between).await?;
        let more = entries.len() > limit as usize;
        entries.truncate(limit as usize);
        if last {
            entries.reverse();
        }
        // What a place cuts off lies beside the page, if it is still there.
        let from = after.map(|Cursor(after)| whole.above.max(Position(after.saturating_sub(1))));
        let up_to = before.map(|Cursor(before)| whole.below.min(Position(before.saturating_add(1))));
        Ok(Read {
            newer: last && more || any(&mut look, from.map(|above| Part { above, ..whole })).await?,
            older: !last && more || any(&mut look, up_to.map(|below| Part { below, ..whole })).await?,
            entries,
        })
    }

    /// Adds each order's timeline, up to where the list has come; all are read in one statement.
    async fn add_timelines(&self, orders: &mut [(Cursor, OrderView)]) -> Result<(), Error> {
        let streams: Vec<_> = orders
            .iter()
            .map(|(_, order)| StreamName::from(order.id.stream()))
            .collect();
        let streams = self.store.read_streams(&streams).await;
        let streams: Vec<Vec<Arc<RecordedEvent>>> = streams.map_err(|error| fault::read(&error))?;
        for ((_, order), events) in orders.iter_mut().zip(&streams) {
            order.timeline = timeline(events)?;
            order
                .timeline
                .retain(|change| change.version <= order.details.version);
        }
        Ok(())
    }
}

/// What the filter leaves of the list. Numbers rise with the time of creation, so a time is a number.
async fn range<'a>(look: &mut Look, listing: &'a Listing) -> Result<Part<'a>, DerivedError> {
    let mut range = Part {
        statuses: &listing.statuses,
        above: Position::START,
        below: Position::END,
        direction: Direction::Backwards,
        limit: 1,
    };
    if let Some(from) = listing.created_from {
        let first = look.first_since(from).await?;
        range.above = first.map_or(Position::END, |Position(first)| Position(first - 1));
    }
    if let Some(to) = listing.created_to {
        range.below = look.first_since(to).await?.unwrap_or(Position::END);
    }
    Ok(range)
}

async fn any(look: &mut Look, part: Option<Part<'_>>) -> Result<bool, DerivedError> {
    match part {
        Some(part) => Ok(!look.page(&part).await?.is_empty()),
        None => Ok(false),
    }
}

/// The order without its timeline. One that a newer version has written in a way that is not known here is left out.
fn view(entry: &Entry) -> Option<(Cursor, OrderView)> {
    let shown = public_order(&entry.public, entry.updated_at);
    let Ok(Some((id, details))) = shown else {
        tracing::warn!(number = %entry.number, ?shown, "an order of the list cannot be read");
        return None;
    };
    let view = OrderView {
        id,
        details,
        timeline: Vec::new(),
    };
    Some((Cursor(entry.number.0), view))
}
