//! The shells' completions.

use std::process::Command;

fn script(shell: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tiffin"))
        .args(["completions", shell])
        .output()
        .expect("tiffin can be started");
    assert!(output.status.success(), "{shell}: {output:?}");
    String::from_utf8(output.stdout).expect("a script is text")
}

#[test]
fn every_shells_script_names_the_commands_and_their_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = script(shell);
        for word in ["migrate", "rebuild", "watch", "idempotency-key"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
}

#[test]
fn bash_completes_what_follows_a_command_to_its_commands() {
    let folder = tiffin_testkit::scratch_folder("completions");
    let path = folder.join("tiffin.bash");
    std::fs::write(&path, script("bash")).expect("the folder is ours");
    let complete = |words: &str, at: usize| {
        let line = format!(
            "source '{}' && COMP_WORDS=({words}) COMP_CWORD={at} && \
             _tiffin tiffin \"${{COMP_WORDS[{at}]}}\" \"${{COMP_WORDS[{at} - 1]}}\" && echo \"${{COMPREPLY[@]}}\"",
            path.display()
        );
        let output = Command::new("bash").args(["--norc", "-c", &line]).output();
        let output = output.expect("bash is there");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("words are text")
    };
    let commands = complete("tiffin order ''", 2);
    for command in ["place", "get", "list", "watch", "cancel"] {
        assert!(
            commands.split_whitespace().any(|word| word == command),
            "{commands}"
        );
    }
    assert_eq!(complete("tiffin order wat", 2), "watch\n");
    assert_eq!(complete("tiffin migr", 1), "migrate\n");
}
