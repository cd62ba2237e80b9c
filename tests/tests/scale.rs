//! The tables of docs/scale.md are those that its script makes of its inputs.

use std::fs;

use tiffin_testkit::{command, workspace};

#[test]
fn the_paper_has_the_tables_that_its_script_prints_and_no_others() {
    let paper = fs::read_to_string(workspace().join("docs/scale.md")).expect("the paper");
    let script = workspace().join("docs/scale/simulate.py");
    let output = command("python3").arg(script).output().expect("Python 3");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let printed = String::from_utf8(output.stdout).expect("a text");
    let (written, printed) = (tables(&paper), tables(&printed));
    let differs = written.iter().zip(&printed).find(|(one, other)| one != other);
    assert_eq!(differs, None, "write them: docs/scale/simulate.py docs/scale.md");
    assert_eq!(written.len(), printed.len(), "the paper has other tables");
}

/// The lines of every table, and the comments that name them.
fn tables(text: &str) -> Vec<&str> {
    let lines = text.lines();
    lines
        .filter(|line| line.starts_with("<!--") || line.starts_with('|'))
        .collect()
}
