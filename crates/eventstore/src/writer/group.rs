//! Which of the waiting appends are committed together.

use std::collections::{HashSet, VecDeque};

use super::queue::Waiting;
use crate::{StreamName, append::MAX_EVENTS};

/// The most bytes of a group, unless one append alone has more.
const MAX_GROUP_BYTES: usize = 256 * 1024;
/// How many appends to streams of the group are passed over before the group is closed.
const MAX_PASSED_OVER: usize = 1_024;

/// A group that is being put together: one append for each stream, up to a size.
pub(super) struct GroupInMaking {
    members: Vec<Waiting>,
    streams: HashSet<StreamName>,
    events: usize,
    bytes: usize,
}

impl GroupInMaking {
    pub(super) fn new(members: Vec<Waiting>) -> Self {
        Self {
            streams: members
                .iter()
                .map(|member| member.append.stream.clone())
                .collect(),
            events: members.iter().map(|member| member.append.events.len()).sum(),
            bytes: members.iter().map(|member| member.bytes).sum(),
            members,
        }
    }

    pub(super) fn members(&self) -> &[Waiting] {
        &self.members
    }

    pub(super) fn into_members(self) -> Vec<Waiting> {
        self.members
    }

    /// Takes what fits, in the order of the lane; a second append to a stream is left for another group.
    pub(super) fn fill_from(&mut self, lane: &mut VecDeque<Waiting>) {
        let mut passed_over = Vec::new();
        while let Some(next) = lane.pop_front() {
            if next.is_abandoned() {
                // Nobody waits for it any more and it was never sent.
                continue;
            }
            if !self.has_room_for(&next) {
                lane.push_front(next);
                break;
            }
            if !self.streams.insert(next.append.stream.clone()) {
                passed_over.push(next);
                if passed_over.len() == MAX_PASSED_OVER {
                    break;
                }
                continue;
            }
            self.events += next.append.events.len();
            self.bytes += next.bytes;
            self.members.push(next);
        }
        passed_over
            .into_iter()
            .rev()
            .for_each(|next| lane.push_front(next));
    }

    fn has_room_for(&self, next: &Waiting) -> bool {
        self.members.is_empty()
            || (self.events + next.append.events.len() <= MAX_EVENTS
                && self.bytes + next.bytes <= MAX_GROUP_BYTES)
    }
}
