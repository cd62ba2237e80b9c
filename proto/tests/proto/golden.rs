//! What yesterday's build wrote is read today, and today's build writes the same.
//!
//! A golden file is never changed: a message that would be written differently gets a new sample beside the old one.
//! `TIFFIN_WRITE_GOLDEN=1 cargo test -p tiffin-proto` writes the files that are missing.

use std::{collections::BTreeSet, fmt::Write, fs, path::PathBuf};

use prost_reflect::DescriptorPool;
use tiffin_proto::DESCRIPTORS;

use crate::samples::samples;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn hex(bytes: &[u8]) -> String {
    bytes.chunks(32).fold(String::new(), |mut text, line| {
        for byte in line {
            write!(text, "{byte:02x}").unwrap();
        }
        text + "\n"
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn messages() -> BTreeSet<String> {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    pool.all_messages()
        .filter(|message| message.package_name() == "tiffin.order.v1")
        .map(|message| message.name().to_owned())
        .collect()
}

#[test]
fn yesterdays_bytes_are_read_and_written_today() {
    let write = std::env::var_os("TIFFIN_WRITE_GOLDEN").is_some();
    for sample in samples() {
        let path = folder().join(format!("{}.hex", sample.name));
        if write && !path.exists() {
            fs::write(&path, hex(&sample.bytes)).unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(
            (sample.reads_the_same)(&unhex(&golden)),
            "{} is read differently",
            sample.name
        );
        assert_eq!(
            hex(&sample.bytes),
            golden,
            "{} is written differently",
            sample.name
        );
    }
}

#[test]
fn every_message_has_a_golden_file_and_every_golden_file_is_checked() {
    let sampled: BTreeSet<String> = samples().into_iter().map(|sample| sample.name).collect();
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|file| {
            file.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(sampled, files);
    let covered: BTreeSet<String> = files
        .iter()
        .map(|name| name.split('.').next().unwrap().to_owned())
        .collect();
    assert_eq!(covered, messages());
}
