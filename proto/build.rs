//! Compiles the protobuf files, without protoc.

use std::{env, fs, path::PathBuf};

const FILES: [&str; 4] = [
    "tiffin/order/v1/order.proto",
    "tiffin/order/v1/event.proto",
    "tiffin/order/v1/log.proto",
    "tiffin/order/v1/service.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=tiffin");
    let descriptors = protox::Compiler::new(["."])?
        .include_imports(true)
        .include_source_info(true)
        .open_files(FILES)?
        .file_descriptor_set();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    prost_build::Config::new()
        .bytes(["."])
        .enable_type_names()
        .compile_fds(descriptors)?;

    // The embedded set is for reading messages by name; comments would only make the binaries larger.
    let bare = protox::Compiler::new(["."])?
        .include_imports(true)
        .include_source_info(false)
        .open_files(FILES)?
        .encode_file_descriptor_set();
    fs::write(out.join("descriptors.bin"), bare)?;
    Ok(())
}
