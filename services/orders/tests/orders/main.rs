//! The service over a real store and a real nats-server.

#[cfg(test)]
mod again;
#[cfg(test)]
mod cancelling;
#[cfg(test)]
mod journeys;
#[cfg(test)]
mod log;
#[cfg(test)]
mod parking;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod restoring;
#[cfg(test)]
mod world;

use world::World;

/// Runs every test on both databases.
macro_rules! on_both {
    ($($module:ident { $($name:ident),* $(,)? })*) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    crate::$module::$name(crate::World::sqlite().await).await;
                }
            )*)*
        }
        mod postgres {
            $($(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    crate::$module::$name(crate::World::postgres().await).await;
                }
            )*)*
        }
    };
}

on_both! {
    again {
        a_consumer_that_lost_everything_gets_each_message_once_in_the_logs_order,
        one_orders_messages_are_published_alone_and_what_cannot_be_is_refused,
    }
    cancelling {
        of_a_cancellation_and_a_due_timer_exactly_one_wins,
        a_second_cancellation_is_answered_like_the_first_and_changes_nothing,
    }
    journeys {
        an_announced_order_is_started_at_once_and_delivered_and_each_change_is_published,
        an_order_that_nobody_announces_starts_by_its_wake_up,
        timers_that_came_due_while_everything_was_down_fire_within_two_seconds_of_the_restart,
        an_order_finishes_under_the_workflow_it_was_started_under,
        a_wait_beyond_the_end_of_the_calendar_holds_up_no_other_order,
        two_replicas_carry_no_order_out_twice,
        unfinished_orders_are_counted,
        orders_start_and_go_on_while_nats_hangs,
    }
    log {
        the_log_is_read_by_pages_once_each_event_and_nothing_personal,
        news_are_waited_for_and_an_orders_events_are_told_from_the_others,
        a_place_that_the_log_does_not_have_is_refused_and_harms_nobody,
    }
    parking {
        rubbish_and_orders_that_do_not_exist_are_set_aside_and_the_others_are_not_delayed,
        a_start_that_fails_is_seen_to_fail,
        an_order_that_makes_its_handler_fail_is_set_aside_after_five_attempts,
    }
    requests {
        an_order_is_shown_and_cancelled_in_json_and_in_protobuf,
        what_cannot_be_done_is_answered_with_a_code_and_changes_nothing,
    }
}
