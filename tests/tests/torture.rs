//! The torture run in its short form.

use clap::Parser;
use tiffin_tests::torture::{Options, run};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_missed_or_forgotten_while_everything_is_killed() {
    let short = "torture --orders=400 --waits=0,2,2,3 --open=50 --kills=16 --each=3 --wipes=1 --restarts=1 \
                 --settle=20 --logs=../target/torture-short";
    let options = Options::parse_from(short.split_whitespace());
    let ledger = run(&options).await.unwrap();
    println!("{ledger}");
    assert!(ledger.is_clean(), "{ledger}");
}
