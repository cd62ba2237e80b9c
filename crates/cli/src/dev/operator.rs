//! The operator's key: made at the first start, kept in the data folder.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use tiffin_runtime::{Error, Secret};

use crate::keys::new_key;

/// Where the key is kept.
pub(super) fn file(data: &Path) -> PathBuf {
    data.join("operator.key")
}

/// Reads the key; makes it, for its owner's eyes only, where there is none.
pub(super) fn key(data: &Path) -> Result<Secret, Error> {
    let path = file(data);
    let failed = |cause| Error::File {
        path: path.clone(),
        cause,
    };
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(Secret::new(text.trim())),
        Ok(_empty) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let key = new_key();
    let created = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path);
    let written = created.and_then(|mut file| writeln!(file, "{}", key.expose()));
    written.map_err(failed)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_nobody_else_can_read_it() {
        let data = tempfile::tempdir().unwrap();
        let first = key(data.path()).unwrap();
        assert_eq!(key(data.path()).unwrap(), first);
        let mode = fs::metadata(file(data.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
