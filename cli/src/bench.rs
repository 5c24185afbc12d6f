//! Measurements that anyone can repeat: each command is the source of the figures in the documents.

mod aggregate;
mod cluster;
mod document;
mod durability;
mod exactness;
mod federated;
mod memory;
mod round;
mod scale;
mod soak;
mod throughput;

use crate::args::BenchCommand;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(command: &BenchCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        BenchCommand::Round(args) => round::run(args, output),
        BenchCommand::Train(args) => throughput::run(args, output),
        BenchCommand::Aggregate(args) => aggregate::run(args, output),
        BenchCommand::Exactness(args) => exactness::run(args, output),
        BenchCommand::Federated(args) => federated::run(args, output),
        BenchCommand::Soak(args) => soak::run(args, output),
        BenchCommand::Scale(args) => scale::run(args, output),
        BenchCommand::Durability(args) => durability::run(args, output),
    }
}
