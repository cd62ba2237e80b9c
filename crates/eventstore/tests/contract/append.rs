//! Appending: verdicts, and who is harmed by whom.

use futures::future::join_all;
use tiffin_eventstore::{AppendError, Expected, NewEvent, Position, Revision};
use tiffin_testkit::eventually;

use crate::world::{
    World, append, check_log, conflict, event, exact, grow, shown, start, whole_log, whole_stream,
};

pub(crate) async fn an_append_is_recorded_as_it_was_given(world: World) {
    let store = world.store().await;
    let before = store.now();
    let events = vec![event("a"), event("b")];
    let appended = store.append(start("s", events.clone())).await.unwrap();
    assert!(!appended.replayed);
    assert_eq!(appended.events.len(), 2);
    for (n, (recorded, new)) in appended.events.iter().zip(&events).enumerate() {
        assert_eq!(recorded.position, Position(n as u64 + 1));
        assert_eq!(recorded.stream_no, Position(1));
        assert_eq!(recorded.revision, Revision(n as u64));
        assert_eq!(recorded.stream.as_str(), "s");
        assert_eq!((recorded.id, &recorded.kind), (new.id, &new.kind));
        assert_eq!((&recorded.data, &recorded.metadata), (&new.data, &new.metadata));
        assert!(recorded.created_at >= before && recorded.created_at <= store.now());
    }
    assert_eq!(
        whole_log(&store).await,
        appended.events,
        "what is answered is what is read"
    );
}

pub(crate) async fn new_streams_are_written_beside_some_that_a_fresh_process_does_not_know(world: World) {
    let before = world.store().await;
    for n in 0..50 {
        grow(&before, &format!("old-{n}"), 1).await;
    }
    before.close().await;
    drop(before);
    let store = world.store().await;
    let create = |name: String| {
        let store = store.clone();
        async move { store.append(start(&name, vec![event("x")])).await }
    };
    let all = (0..100).map(|n| match n % 2 {
        0 => create(format!("old-{}", n / 2)),
        _ => create(format!("new-{n}")),
    });
    for (n, answer) in join_all(all).await.into_iter().enumerate() {
        if n % 2 == 0 {
            assert_eq!(conflict(answer), Some(Revision(0)), "old-{}", n / 2);
        } else {
            assert_eq!(answer.unwrap().events[0].revision, Revision(0), "new-{n}");
        }
    }
    assert_eq!(whole_log(&store).await.len(), 100);
}

pub(crate) async fn every_expectation_is_judged(world: World) {
    let store = world.store().await;
    grow(&store, "three", 3).await;
    let one = |stream, expected| store.append(append(stream, expected, vec![event("x")]));

    assert_eq!(
        conflict(one("three", Expected::NoStream).await),
        Some(Revision(2))
    );
    assert_eq!(conflict(one("three", exact(1)).await), Some(Revision(2)));
    assert_eq!(conflict(one("three", exact(3)).await), Some(Revision(2)));
    assert_eq!(conflict(one("none", exact(0)).await), None);
    assert_eq!(conflict(one("none", Expected::StreamExists).await), None);
    assert_eq!(
        whole_log(&store).await.len(),
        3,
        "a refused append writes nothing"
    );

    for (stream, expected, revision) in [
        ("three", exact(2), 3),
        ("three", Expected::StreamExists, 4),
        ("three", Expected::Any, 5),
        ("new", Expected::Any, 0),
        ("newer", Expected::NoStream, 0),
    ] {
        let appended = one(stream, expected).await.unwrap();
        assert_eq!(
            appended.events[0].revision,
            Revision(revision),
            "{stream}, {expected}"
        );
    }
    check_log(&whole_log(&store).await);
}

pub(crate) async fn sixty_four_appenders_to_different_streams_all_succeed(world: World) {
    let store = world.store().await;
    join_all((0..64).map(|n| {
        let store = store.clone();
        async move { grow(&store, &format!("stream-{n}"), 10).await }
    }))
    .await;
    let log = whole_log(&store).await;
    assert_eq!(log.len(), 640);
    check_log(&log);
}

pub(crate) async fn of_sixty_four_appenders_with_one_expectation_one_wins(world: World) {
    let store = world.store().await;
    for round in 0..10 {
        let expected = if round == 0 {
            Expected::NoStream
        } else {
            exact(round - 1)
        };
        let answers = join_all((0..64).map(|_| store.append(append("s", expected, vec![event("x")])))).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        assert!(
            lost.into_iter()
                .all(|lost| conflict(lost) == Some(Revision(round)))
        );
    }
    check_log(&whole_log(&store).await);
}

pub(crate) async fn sixty_four_appenders_that_expect_anything_all_succeed(world: World) {
    let store = world.store().await;
    let answers =
        join_all((0..64).map(|_| store.append(append("s", Expected::Any, vec![event("x"), event("y")]))))
            .await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().is_ok_and(|appended| !appended.replayed))
    );
    let log = whole_log(&store).await;
    assert_eq!(log.len(), 128);
    check_log(&log);
}

pub(crate) async fn a_conflict_harms_no_neighbour_in_its_group(world: World) {
    let store = world.store().await;
    grow(&store, "taken", 5).await;
    let answers = join_all((0..64).map(|n| {
        let append = match n % 4 {
            0 => start("taken", vec![event("x")]),
            1 => append("taken", exact(n / 32), vec![event("x")]),
            2 => append("never", exact(7), vec![event("x")]),
            _ => start(&format!("fresh-{n}"), vec![event("x")]),
        };
        store.append(append)
    }))
    .await;
    for (n, answer) in answers.into_iter().enumerate() {
        match n % 4 {
            0 | 1 => assert_eq!(conflict(answer), Some(Revision(4))),
            2 => assert_eq!(conflict(answer), None),
            _ => assert_eq!(answer.unwrap().events.len(), 1),
        }
    }
    let log = whole_log(&store).await;
    assert_eq!(log.len(), 5 + 16);
    check_log(&log);
}

pub(crate) async fn a_repeated_append_is_the_earlier_success(world: World) {
    let store = world.store().await;
    let first = start("s", vec![event("a"), event("b")]);
    let second = append("s", exact(1), vec![event("c")]);
    let written = [
        store.append(first.clone()).await.unwrap(),
        store.append(second.clone()).await.unwrap(),
    ];
    // A store that has just been opened remembers no stream.
    store.close().await;
    drop(store);
    let store = world.store().await;
    for round in 0..2 {
        for (append, written) in [&first, &second].into_iter().zip(&written) {
            let again = store.append(append.clone()).await.unwrap();
            assert!(again.replayed, "round {round}");
            assert_eq!(again.events, written.events);
        }
    }
    let whatever = append("t", Expected::Any, vec![event("d"), event("e")]);
    assert!(!store.append(whatever.clone()).await.unwrap().replayed);
    assert!(
        store.append(whatever).await.unwrap().replayed,
        "they are the stream's last"
    );
    assert_eq!(whole_log(&store).await.len(), 5);
}

pub(crate) async fn an_id_used_for_other_content_is_an_error_of_its_own(world: World) {
    let store = world.store().await;
    let events = vec![event("a"), event("b")];
    store.append(start("s", events.clone())).await.unwrap();
    let changed = |change: fn(&mut NewEvent)| {
        let mut events = events.clone();
        change(&mut events[1]);
        start("s", events)
    };
    let short = start("s", vec![events[0].clone()]);
    let long = start("s", [events.clone(), vec![event("c")]].concat());
    for (append, reused) in [
        (changed(|event| event.data = "other".into()), 0),
        (changed(|event| event.kind = "other".into()), 0),
        (changed(|event| event.metadata = "other".into()), 0),
        (changed(|event| event.id = uuid::Uuid::now_v7()), 0),
        (long, 0),
    ] {
        match store.append(append).await {
            Err(AppendError::IdReused { event_id, .. }) => assert_eq!(event_id, events[reused].id),
            other => panic!("{other:?}"),
        }
    }
    assert!(
        store.append(short).await.unwrap().replayed,
        "the first of two is in its place, too"
    );
    let twice = start("t", vec![events[0].clone(), events[0].clone()]);
    assert!(matches!(
        store.append(twice).await,
        Err(AppendError::IdReused { .. })
    ));
    assert_eq!(whole_stream(&store, "s").await.len(), 2);
}

pub(crate) async fn an_append_has_a_size(world: World) {
    let store = world.store().await;
    assert!(matches!(
        store.append(start("s", vec![])).await,
        Err(AppendError::Empty)
    ));
    let many = (0..513).map(|_| event("x")).collect();
    assert!(matches!(
        store.append(start("s", many)).await,
        Err(AppendError::TooLarge { events: 513, .. })
    ));
    let large = event(&"x".repeat(1024 * 1024));
    assert!(matches!(
        store.append(start("s", vec![large])).await,
        Err(AppendError::TooLarge { events: 1, .. })
    ));
    let most = (0..512).map(|_| event(&"x".repeat(1_900))).collect();
    assert_eq!(store.append(start("s", most)).await.unwrap().events.len(), 512);
    check_log(&whole_log(&store).await);
}

pub(crate) async fn a_closed_store_takes_nothing_and_has_written_what_it_took(world: World) {
    let store = world.store().await;
    let waiting: Vec<_> = (0..100)
        .map(|n| {
            tokio::spawn({
                let store = store.clone();
                async move { store.append(start(&format!("s-{n}"), vec![event("x")])).await }
            })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    assert!(matches!(
        store.append(start("late", vec![event("x")])).await,
        Err(AppendError::Closed)
    ));
    let mut written = 0;
    for answer in waiting {
        match answer.await.unwrap() {
            Ok(_) => written += 1,
            Err(AppendError::Closed) => {}
            Err(other) => panic!("{other}"),
        }
    }
    drop(store);
    let store = world.store().await;
    assert_eq!(whole_log(&store).await.len(), written);
}

pub(crate) async fn what_the_store_does_is_counted(world: World) {
    let store = world.store().await;
    let first = start("s", vec![event("a"), event("b")]);
    store.append(first.clone()).await.unwrap();
    store.append(first).await.unwrap();
    conflict(store.append(start("s", vec![event("c")])).await);
    // The writer rests a moment after its last answer.
    let text = eventually!(shown(&store), |text| text
        .contains("tiffin_store_queue_age_seconds 0.0\n"));
    for line in [
        "tiffin_store_appends_total{outcome=\"written\"} 1",
        "tiffin_store_appends_total{outcome=\"replayed\"} 1",
        "tiffin_store_appends_total{outcome=\"conflict\"} 1",
        "tiffin_store_group_events_sum 2.0",
        "tiffin_store_group_events_count 1",
        // The tail may look before the writer has handed it the group.
        "tiffin_store_tail_reads_total ",
    ] {
        assert!(
            text.lines()
                .any(|found| found == line || line.ends_with(' ') && found.starts_with(line)),
            "{line} is not in\n{text}"
        );
    }
}
