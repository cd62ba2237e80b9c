#!/usr/bin/env python3
"""The tables of docs/scale.md: what follows from its inputs by arithmetic, and by simulation where that is not enough.

  docs/scale/simulate.py                  prints them
  docs/scale/simulate.py docs/scale.md    writes them into the paper, each below the comment that names it
"""

import heapq
import random
import re
import sys
from collections import deque
from pathlib import Path

# Each number once. "bench" is `make bench`; "SQL" is the project's own statement, measured alone by pgbench; "run" was
# seen in a run of the services; "parts" is a bare part that Tiffin is built from; "code" is a setting in the sources;
# "chosen" is what the paper supposes of the world; "assumed" nobody measured.
INPUTS = {
    "events": (6, "an order", "code: created, started, four steps"),
    "updates": (4, "messages an order in `ORDER_UPDATED`", "code: one for each step"),
    "log": (359, "bytes an event", "run: `log.events` with its indexes, 120,001 events"),
    "wal": (713, "bytes an event", "run: PostgreSQL's WAL, the list and the wake-ups included"),
    "message": (459, "bytes a message", "run: `ORDER_UPDATED`, 80,000 messages"),
    "saga": (296, "CPU-µs an order", "bench: `sagas` on PostgreSQL, load and servers together"),
    "group": (512, "events at most", "code: a group of the writer"),
    "append": (13, "µs an event", "SQL: `log.append_v1` in groups of 64 to 512"),
    "overhead": (0.25, "ms a group", "SQL: `log.append_v1` for one event, without its fsync"),
    "read": (4, "CPU-µs an event", "SQL: 512 events of `log.recorded_v1`"),
    "followers": (8, "processes", "chosen: of `api` and `orders`; a `notifier` does not follow the log"),
    "snapshot": (21, "CPU-µs an order", "SQL: the histories of 256 orders in one statement"),
    "poll": (1, "seconds", "code: how often a feed reads the log in any case"),
    "connect": (0.18, "CPU-ms a socket", "run: upgrade, init, subscription, first answer; no TLS"),
    "socket": (9, "KiB", "run: resident memory of a subscribed socket"),
    "sockets": (20_000, "a notifier", "code: unless it is told otherwise"),
    "intake": (7.7, "CPU-µs a message", "parts: an ordered consumer, both ends"),
    "core": (4.5, "CPU-µs a message", "parts: a core subscription, both ends"),
    "interest": (3, "CPU-µs", "parts: a core subscription begun and ended, at the server"),
    "push": (18, "CPU-µs a push", "bench: `push` as it happens, less the intake"),
    "tls": (1.0, "CPU-ms a socket", "assumed: a full handshake, where the notifier ends TLS"),
    "minutes": (40, "an order is open", "chosen"),
    "watchers": (1.5, "sockets an order", "chosen"),
    "patience": (10, "seconds", "assumed: then a client gives a connection up and tries again"),
    "notifier": (1.4, "cores free", "assumed: two, of which pushes take 0.6"),
}
LOADS = (1_000, 10_000, 100_000)


def given(name):
    return INPUTS[name][0]


def number(value):
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2g}"


def table(head, rows):
    lines = [head, ["---"] + ["--:"] * (len(head) - 1)] + [[number(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def inputs():
    rows = [[name, number(value), unit, source] for name, (value, unit, source) in INPUTS.items()]
    return table(["input", "value", "unit", "source"], rows).replace("--:", "---")


# What a load asks for, by arithmetic.


def open_sockets(orders):
    return orders * given("minutes") * 60 * given("watchers")


def notifiers(orders):
    return open_sockets(orders) / given("sockets")


def demand():
    def row(what, of):
        return [what] + [of(orders) for orders in LOADS]

    events = given("events")
    return table(
        ["orders a second"] + [number(orders) for orders in LOADS],
        [
            row("events a second", lambda n: n * events),
            row("whole orders, without HTTP and sockets, cores", lambda n: n * given("saga") / 1e6),
            row("the log's lock, held by events (1 is all there is)", lambda n: n * events * given("append") / 1e6),
            row("WAL, MB a second", lambda n: n * events * given("wal") / 1e6),
            row("the log, GB a day", lambda n: n * events * given("log") * 86_400 / 1e9),
            row("messages a second, both streams", lambda n: n * (1 + given("updates"))),
            row("both streams, GB an hour", lambda n: n * (1 + given("updates")) * given("message") * 3_600 / 1e9),
            row("open orders", lambda n: n * given("minutes") * 60),
            row("open sockets", open_sockets),
            row("notifiers", notifiers),
            row("memory of all sockets, GiB", lambda n: open_sockets(n) * given("socket") / 2**20),
            row("pushes, cores", lambda n: n * given("updates") * given("watchers") * given("push") / 1e6),
            row("one notifier's intake of all updates, cores", lambda n: n * given("updates") * given("intake") / 1e6),
            row("all tails' reads, cores of the primary", lambda n: given("followers") * n * events * given("read") / 1e6),
        ],
    )


def following():
    """Three ways for a notifier to hear of its orders; cores over all notifiers, and of the primaries for the check
    that nothing was missed."""
    rows = []
    for orders in LOADS:
        updates, sockets = orders * given("updates"), open_sockets(orders)
        everything = notifiers(orders) * updates * given("intake")
        copies = updates * given("watchers") * given("core") + orders * given("watchers") * given("interest")
        check = sockets / given("poll") * given("snapshot")
        # Each notifier follows one cell, of `LOADS[0]` orders a second.
        by_cell = everything * LOADS[0] / orders
        costs = [cost / 1e6 for cost in (everything, copies, check, by_cell)]
        rows.append([orders, notifiers(orders), *costs])
    head = ["orders a second", "notifiers", "everything", "by order", "… and its check, in SQL", "by cell"]
    return table(head, rows)


# Group commit: writers that each gather what waits, and one lock, held over the fsync.


def lock_held(events, fsync):
    """For how many seconds a group holds the lock."""
    return (given("overhead") + fsync) / 1e3 + events * given("append") / 1e6


def group_commit(rate, writers, fsync, seconds, rng):
    """p50 and p99 in ms from an event's arrival to its commit, and the mean size of a group. A group is closed when it is
    sent: while it waits for the lock it does not grow."""
    waiting = [[] for _ in range(writers)]
    now = 0.0
    while now < seconds:
        now += rng.expovariate(rate)
        rng.choice(waiting).append(now)
    sent = [(arrivals[0], writer, 0) for writer, arrivals in enumerate(waiting) if arrivals]
    heapq.heapify(sent)
    free, latencies, groups = 0.0, [], 0
    while sent:
        at, writer, first = heapq.heappop(sent)
        arrivals, last = waiting[writer], first
        while last < len(arrivals) and arrivals[last] <= at and last - first < given("group"):
            last += 1
        free = max(at, free) + lock_held(last - first, fsync * (0.8 + rng.expovariate(5)))
        latencies += [free - arrival for arrival in arrivals[first:last] if arrival > seconds / 4]
        groups += 1
        if last < len(arrivals):
            heapq.heappush(sent, (max(free, arrivals[last]), writer, last))
    latencies.sort()
    p50, p99 = (latencies[int(share * len(latencies))] * 1e3 for share in (0.5, 0.99))
    return p50, p99, sum(map(len, waiting)) / groups


def commits():
    rng = random.Random(1)
    rows = []
    for fsync in (0.1, 1, 5):
        for rate in (6_000, 20_000, 60_000):
            row = [f"{fsync} ms", rate]
            for writers in (1, 2, 4, 8, 16):
                if rate > given("group") / lock_held(given("group"), fsync):
                    row.append("grows")
                    continue
                p50, p99, size = group_commit(rate, writers, fsync, 2, rng)
                row.append(f"{p50:.1f} / {p99:.1f} ({size:.0f})")
            rows.append(row)
    return table(["fsync", "events a second", "1 writer", "2", "4", "8", "16"], rows)


# Shards: how even they are.


def imbalance():
    """The hottest shard over the mean: within a second of an hour, by order; on the long run by owner."""
    rng = random.Random(2)
    owners, slots = 100_000, 1_024
    weights = [1 / rank for rank in range(1, owners + 1)]
    total = sum(weights)
    rows = []
    for shards in (4, 10, 32, 100):
        second = max(rng.gauss(LOADS[0], LOADS[0] ** 0.5) for _ in range(shards * 3_600)) / LOADS[0]
        slot = -(-slots // shards) / (slots / shards)
        hottest = []
        for _ in range(5):
            load = [0.0] * shards
            for weight in weights:
                load[rng.randrange(shards)] += weight
            hottest.append(max(load) * shards / total)
        rows.append([shards, f"{second:.2f}", f"{slot:.2f}", f"{sorted(hottest)[2]:.2f}"])
    return table(["shards", "by order, the worst second of an hour", "1,024 slots, not divisible", "by owner"], rows)


# Reconnections: a notifier is gone, its clients come to one that lives.


class Survivor:
    """A notifier that others' clients come to: works on up to `at_most` connections in turn, as its runtime does, and
    lets the rest wait to be accepted."""

    def __init__(self, work, at_most):
        self.work, self.at_most = work, at_most
        self.now = self.given = self.wasted = 0.0  # `given`: the work that each connection under way has had
        self.begun, self.ends, self.backlog, self.left = {}, [], deque(), set()

    def pace(self):
        return min(1.0, given("notifier") / len(self.begun))

    def ends_next(self):
        while self.ends and self.ends[0][1] not in self.begun:
            heapq.heappop(self.ends)
        return self.now + (self.ends[0][0] - self.given) / self.pace() if self.ends else float("inf")

    def advance(self, to):
        if self.begun:
            self.given += (to - self.now) * self.pace()
        self.now = to

    def arrives(self, connection):
        self.backlog.append(connection)
        self.accept()

    def accept(self):
        while self.backlog and len(self.begun) < self.at_most:
            connection = self.backlog.popleft()
            if connection not in self.left:
                self.begun[connection] = self.given
                heapq.heappush(self.ends, (self.given + self.work, connection))

    def finish(self):
        del self.begun[heapq.heappop(self.ends)[1]]
        self.accept()

    def gives_up(self, connection):
        if connection in self.begun:
            self.wasted += self.given - self.begun.pop(connection)
            self.accept()
        else:
            self.left.add(connection)


def herd(clients, work, spread, at_most, rng):
    """Seconds until half and 99 % are back, the share of the work that was for nothing, and of clients that gave up."""

    def delay(attempt):
        """As graphql-ws waits before its attempts, of which it makes six."""
        return 2**attempt + rng.uniform(0.3, 3)

    due = [(rng.uniform(0, spread) + delay(0), (client, 0), "comes") for client in range(clients)]
    heapq.heapify(due)
    survivor, connected, back, gave_up = Survivor(work, at_most), set(), [], 0
    while due:
        ends = survivor.ends_next()
        survivor.advance(min(ends, due[0][0]))
        if ends <= due[0][0]:
            connected.add(survivor.ends[0][1])
            survivor.finish()
            back.append(ends)
            continue
        at, (client, attempt), what = heapq.heappop(due)
        if what == "comes":
            survivor.arrives((client, attempt))
            heapq.heappush(due, (at + given("patience"), (client, attempt), "goes"))
        elif (client, attempt) not in connected:
            survivor.gives_up((client, attempt))
            if attempt == 5:
                gave_up += 1
            else:
                heapq.heappush(due, (at + delay(attempt + 1), (client, attempt + 1), "comes"))
    half, most = (back[at] if at < len(back) else None for at in (clients // 2, clients * 99 // 100))
    return half, most, survivor.wasted / (survivor.wasted + len(back) * work), gave_up / clients


def reconnections():
    rng = random.Random(3)
    rows = []
    for work, tls in ((given("connect"), "no"), (given("connect") + given("tls"), "yes")):
        for clients in (10_000, 20_000, 40_000):
            for spread, at_most, how in (
                (0, clients, "killed"),
                (15, clients, "closed over 15 s"),
                (0, 100, "killed; 100 are let in at a time"),
            ):
                half, most, wasted, gave_up = herd(clients, work / 1e3, spread, at_most, rng)
                times = ["never" if time is None else f"{time:.1f} s" for time in (half, most)]
                rows.append([tls, clients, how, *times, f"{wasted:.0%}", f"{gave_up:.0%}"])
    back = ["half are back", "99 % are back"]
    return table(["TLS here", "clients for one survivor", "the other was", *back, "wasted", "gave up"], rows)


TABLES = {
    "inputs": inputs,
    "demand": demand,
    "commits": commits,
    "imbalance": imbalance,
    "following": following,
    "reconnections": reconnections,
}


def main(paper=None):
    tables = {name: make() for name, make in TABLES.items()}
    if paper is None:
        print("\n\n".join(f"<!-- {name} -->\n\n{text}" for name, text in tables.items()))
        return
    text = Path(paper).read_text()
    for name, lines in tables.items():
        place = re.compile(rf"<!-- {name} -->\n(?:\n(?:\|.*\n)+)?")
        text, found = place.subn(lambda _: f"<!-- {name} -->\n\n{lines}\n", text)
        if found != 1:
            sys.exit(f"{paper} has {found} places for the table {name}")
    Path(paper).write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
