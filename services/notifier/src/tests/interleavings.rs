//! However commits, deliveries, reads and subscribers interleave, each subscriber gets each version once, in order.

use proptest::prelude::*;
use tiffin_order::Status;

use super::{
    ORDER,
    world::{Subscriber, World},
};

/// What may happen next.
#[derive(Clone, Debug)]
enum Step {
    Commit,
    /// The bus or the log brings some change that was committed: again, late, or not in order.
    Deliver(prop::sample::Index),
    Subscribe(Option<u32>),
    /// The store takes up the reads that wait.
    BeginReads,
    /// What it read arrives.
    EndReads,
    Poll(prop::sample::Index),
    /// A message could not be understood.
    Missed,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Commit),
        4 => any::<prop::sample::Index>().prop_map(Step::Deliver),
        2 => prop::option::of(0..9_u32).prop_map(Step::Subscribe),
        3 => Just(Step::BeginReads),
        3 => Just(Step::EndReads),
        6 => any::<prop::sample::Index>().prop_map(Step::Poll),
        1 => Just(Step::Missed),
    ];
    prop::collection::vec(step, 1..80)
}

fn take(world: &mut World, step: &Step) {
    match step {
        Step::Commit if world.version() == 7 => world.commit(Status::Delivered),
        Step::Commit => world.commit(Status::Preparing),
        Step::Deliver(which) => world.deliver(1 + u32::try_from(which.index(world.log.len())).unwrap()),
        Step::Subscribe(after) => world.subscribe(*after),
        Step::BeginReads => world.begin_reads(),
        Step::EndReads => world.end_reads(),
        Step::Poll(_) if world.subscribers.is_empty() => {}
        Step::Poll(which) => {
            let which = which.index(world.subscribers.len());
            world.subscribers[which].poll();
        }
        Step::Missed => world.hub.read_again(Some(ORDER)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn versions_rise_one_by_one_to_the_last(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            take(&mut world, step);
        }
        world.settle();
        let last = world.version();
        for Subscriber { after, at, versions, completed, failed, .. } in &world.subscribers {
            prop_assert!(*completed && failed.is_none(), "not completed after {versions:?}");
            prop_assert!(versions.windows(2).all(|pair| pair[1] == pair[0] + 1), "{versions:?}");
            let first = versions.first().copied();
            match after {
                Some(after) if after <= at => {
                    let rest = (*after < last).then_some(after + 1);
                    prop_assert_eq!(first, rest);
                }
                // The state is the one when it was read, which may be later than the request; whoever was ahead of the
                // order when it asked may no longer be so, and may even know all there is.
                _ => prop_assert!(first.map_or(*after == Some(last), |first| first >= *at), "{first:?}, at {at}"),
            }
            prop_assert!(versions.last().is_none_or(|version| *version == last), "{versions:?}");
        }
    }
}
