//! How long a group is let grow before it is sent.
//!
//! A group costs the database, and whoever follows the log, much the same whatever its size. Whoever was answered needs some
//! time to ask again. So where many wait, the next group is let grow for as long as the last one took: half as many
//! groups then carry as many appends, since whoever asks again at once is in every one of them and not in every other.

use std::{cmp, time::Duration};

use tokio::time::timeout;

use super::Queue;

/// So many have to wait: whoever has the database almost to themselves is not kept waiting for others.
const SOME: usize = 8;
/// Where so many wait, their number no longer matters for what each costs.
const ENOUGH: usize = 64;
/// Tokio's timer is no finer; where a group takes less, as on SQLite, there is little to be saved.
const SHORTEST: Duration = Duration::from_millis(1);
/// What a group may cost those in it at most: a database that takes long is not to be waited for twice.
const LONGEST: Duration = Duration::from_millis(5);

/// The last group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Last {
    pub(super) appends: usize,
    /// How long the database took for it.
    pub(super) took: Duration,
}

/// Waits for more appends, if that pays.
pub(super) async fn gather(queue: &Queue, last: Last) {
    if let Some((pause, enough)) = plan(queue.arrived(), last) {
        let _enough = timeout(pause, queue.filled(enough)).await;
    }
}

/// How long to wait, and for how many: none but those who were answered are about to come.
fn plan(waiting: usize, last: Last) -> Option<(Duration, usize)> {
    let pays = (SOME..ENOUGH).contains(&waiting) && last.took >= SHORTEST;
    let enough = cmp::min(ENOUGH, waiting + last.appends);
    pays.then(|| (last.took.min(LONGEST), enough))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn after(appends: usize, took: Duration) -> Last {
        Last { appends, took }
    }

    #[test]
    fn a_group_grows_for_as_long_as_the_last_one_took_where_many_wait() {
        assert_eq!(plan(SOME, after(200, 3 * MS)), Some((3 * MS, ENOUGH)));
        assert_eq!(plan(ENOUGH - 1, after(200, 3 * MS)), Some((3 * MS, ENOUGH)));
        let long = plan(20, after(200, 400 * MS));
        assert_eq!(long, Some((LONGEST, ENOUGH)), "but not for longer than this");
    }

    #[test]
    fn it_is_complete_when_all_are_back_who_were_answered() {
        assert_eq!(plan(31, after(1, 3 * MS)), Some((3 * MS, 32)));
    }

    #[test]
    fn whoever_is_almost_alone_waits_for_nobody_and_a_large_group_for_no_more() {
        for waiting in [0, 1, SOME - 1, ENOUGH, 5_000] {
            assert_eq!(plan(waiting, after(200, 3 * MS)), None, "{waiting}");
        }
    }

    #[test]
    fn a_quick_database_is_not_waited_for() {
        assert_eq!(plan(20, after(200, MS / 2)), None);
    }
}
