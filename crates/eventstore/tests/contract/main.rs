//! What an event store promises, on both databases.

#[cfg(test)]
mod alone;
#[cfg(test)]
mod append;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod derived;
#[cfg(test)]
mod follow;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod read;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod standbys;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod thrift;
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
                    crate::$module::$name(crate::World::sqlite()).await;
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
    append {
        an_append_is_recorded_as_it_was_given,
        every_expectation_is_judged,
        new_streams_are_written_beside_some_that_a_fresh_process_does_not_know,
        sixty_four_appenders_to_different_streams_all_succeed,
        of_sixty_four_appenders_with_one_expectation_one_wins,
        sixty_four_appenders_that_expect_anything_all_succeed,
        a_conflict_harms_no_neighbour_in_its_group,
        a_repeated_append_is_the_earlier_success,
        an_id_used_for_other_content_is_an_error_of_its_own,
        an_append_has_a_size,
        a_closed_store_takes_nothing_and_has_written_what_it_took,
        what_the_store_does_is_counted,
    }
    read {
        a_stream_is_read_from_a_revision_in_either_direction,
        the_log_is_read_from_a_position_in_either_direction,
        whole_streams_are_read_together_in_the_order_asked,
        what_comes_after_a_cursor_is_read_wherever_the_cursor_is,
        the_events_since_a_time_begin_after_a_cursor,
        whoever_is_behind_is_told_how_far,
    }
    follow {
        a_subscription_catches_up_and_then_follows,
        events_gather_for_a_follower_that_is_in_no_hurry,
        the_newest_events_are_at_hand_by_their_cursors,
        a_subscription_behind_the_memory_reads_the_log,
        a_cancelled_wait_takes_no_event_away,
        a_commit_is_told_of_though_the_runtime_in_which_it_was_made_is_gone,
        closing_ends_a_subscription,
        a_cursor_of_another_log_is_refused,
        a_restored_database_is_noticed_by_looking,
        a_restored_database_is_noticed_by_appending,
        a_restored_database_that_has_grown_again_is_noticed,
    }
    derived {
        a_checkpoint_is_moved_only_from_where_it_is,
        a_checkpoint_is_read_while_somebody_writes,
        a_paused_follower_that_wakes_after_another_took_over_changes_nothing,
        an_effect_and_its_checkpoint_come_together_or_not_at_all,
        a_follower_does_not_wait_for_the_log_nor_the_log_for_it,
        a_lease_has_one_holder_and_is_given_back,
        a_lease_whose_holder_died_is_taken_over,
        migrations_run_once_however_many_run_them,
        old_tables_are_refused_and_newer_ones_are_not,
    }
    storm {
        a_follower_misses_and_repeats_none_of_very_many_events,
    }
}
