//! Generates the code of every `.proto` file with a compiler written in Rust, so that no `protoc` is needed.

use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

const FILES: [&str; 6] = [
    "syngrad/v1/training.proto",
    "syngrad/v1/run.proto",
    "syngrad/v1/enrolment.proto",
    "syngrad/v1/partner.proto",
    "syngrad/v1/receipt.proto",
    "inference/inference.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    // Frames stay slices of the buffer they arrived in.
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
