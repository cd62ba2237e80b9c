//! The folder in which a PostgreSQL server keeps everything.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::geteuid;

use crate::{process::command, tools::postgres_tool};

/// The user that runs the server when the tests run as root, which PostgreSQL refuses: nobody.
const ORDINARY: u32 = 65534;

/// Copies a running server, whose standby the copy becomes.
pub(super) fn copy_running(url: &str, folder: &Path) {
    base_backup(url, &data_folder(folder), &["--write-recovery-conf", "--no-sync"]);
}

/// Takes a backup of a running server and has it verified; returns where it is.
pub(super) fn back_up_running(url: &str, folder: &Path) -> PathBuf {
    let backup = data_folder(folder);
    base_backup(url, &backup, &[]);
    let mut verify = command(postgres_tool("pg_verifybackup"));
    ordinary(verify.arg(&backup));
    run_to_end(verify, "pg_verifybackup");
    backup
}

fn base_backup(url: &str, to: &Path, further: &[&str]) {
    let mut copy = command(postgres_tool("pg_basebackup"));
    copy.args(["--dbname", url, "--checkpoint=fast", "--pgdata"])
        .arg(to);
    ordinary(copy.args(further));
    run_to_end(copy, "pg_basebackup");
}

/// A new folder for the data, of whoever runs the server.
fn data_folder(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    fs::create_dir(&data).expect("our own folder");
    // The server refuses any other mode; of the programs that fill the folder only one sets it.
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("our own folder");
    if geteuid().is_root() {
        chown(&data, Some(ORDINARY), Some(ORDINARY)).expect("we are root");
    }
    data
}

fn run_to_end(mut command: Command, name: &str) {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
}

pub(super) fn initialise(folder: &Path) {
    let mut initdb = command(postgres_tool("initdb"));
    ordinary(initdb.arg("-D").arg(data_folder(folder)).args([
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ]));
    run_to_end(initdb, "initdb");
}

/// Has the command run by an ordinary user.
pub(super) fn ordinary(command: &mut Command) {
    if geteuid().is_root() {
        command.uid(ORDINARY).gid(ORDINARY).current_dir("/");
    }
}

pub(super) fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(
        copied.expect("cp can be started").success(),
        "cannot copy {}",
        from.display()
    );
}

pub(super) fn remove(folder: &Path) {
    if folder.exists() {
        fs::remove_dir_all(folder).expect("our own folder");
    }
}
