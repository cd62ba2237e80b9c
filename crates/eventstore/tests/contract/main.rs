//! What an event store promises, on both databases.

#[cfg(test)]
mod append;
#[cfg(test)]
mod read;
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
        sixty_four_appenders_to_different_streams_all_succeed,
        of_sixty_four_appenders_with_one_expectation_one_wins,
        sixty_four_appenders_that_expect_anything_all_succeed,
        a_conflict_harms_no_neighbour_in_its_group,
        a_repeated_append_is_the_earlier_success,
        an_id_used_for_other_content_is_an_error_of_its_own,
        an_append_has_a_size,
        a_closed_store_takes_nothing_and_has_written_what_it_took,
    }
    read {
        a_stream_is_read_from_a_revision_in_either_direction,
        the_log_is_read_from_a_position_in_either_direction,
        whole_streams_are_read_together_in_the_order_asked,
        what_comes_after_a_cursor_is_read_wherever_the_cursor_is,
    }
}
