//! The workspace's own programs, built once.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
};

use crate::tools::workspace;

/// The path of a program of the workspace, such as `tiffin-api`. Looks in the folder that `TIFFIN_BIN` names, else
/// builds all of them, once, as the tests are built.
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| env::var_os("TIFFIN_BIN").map_or_else(build, PathBuf::from));
    let path = folder.join(name);
    assert!(path.exists(), "there is no {}", path.display());
    path
}

fn build() -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--workspace", "--bins"])
        .current_dir(workspace())
        .stdin(Stdio::null())
        .status()
        .expect("cargo can be started");
    assert!(built.success(), "the workspace's programs cannot be built");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    target.join("debug")
}
