//! The command line as types: one file per noun, nothing but what may be said.

mod bench;
mod cluster;
mod consortium;
mod demo;
mod guard;
mod local;
mod run;
mod verify;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use bench::{
    AggregateArgs, BenchCommand, DurabilityArgs, ExactnessArgs, FederatedArgs, RoundArgs, ScaleArgs, SoakArgs,
    ThroughputArgs,
};
pub use cluster::{CoordinatorCommand, JoinArgs, ServeArgs, StdinWatch, WorkArgs, WorkerCommand};
pub use consortium::{
    ActArgs, AuditArgs, AuditCommand, AuthorityCommand, HolderCommand, InitArgs, InviteArgs, InvitePartnerArgs,
    PartnerCommand, RedeemArgs, RetireArgs, RevokePartnerArgs, RotateArgs, TicketArgs, TicketCommand,
};
pub use demo::{AlgorithmName, DemoArgs, Kill, SpecFlags};
pub use guard::{InspectArgs, PreflightArgs, Sovereignty, WorkerAt};
pub use local::{
    CompletionArgs, DataCommand, DataDir, DoctorArgs, ExplainArgs, PartitionArgs, PartitionName, TrainArgs,
};
pub use run::{Coordinator, PredictArgs, RunCommand, RunName, StartArgs};
pub use verify::{ExportArgs, SamplesAt, VerifyArgs};

/// Trains one model across organisations, to the same bits every time, and serves it.
#[derive(Debug, Parser)]
#[command(name = "syngrad", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Copy, Debug, Args)]
pub struct Global {
    /// How results are written to standard output.
    #[arg(short, long, global = true, value_enum, default_value_t, env = "SYNGRAD_OUTPUT", value_name = "FORMAT")]
    pub output: Format,
    /// Say nothing on standard error but errors.
    #[arg(short, long, global = true, env = "SYNGRAD_QUIET", value_parser = clap::builder::BoolishValueParser::new())]
    pub quiet: bool,
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One object when all is done.
    Json,
    /// One object a line, as things happen; the last one is the result.
    Jsonl,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show it all on this machine: train MNIST over worker processes, survive a kill, predict.
    ///
    /// Exits 0 if the trained model reaches its target accuracy, 1 if it misses it.
    Demo(DemoArgs),
    /// Run the coordinator.
    #[command(subcommand)]
    Coordinator(CoordinatorCommand),
    /// Run a worker.
    #[command(subcommand)]
    Worker(WorkerCommand),
    /// Say who takes part: invite partners, let them take part, or not.
    #[command(subcommand)]
    Partner(PartnerCommand),
    /// Invite those who govern.
    #[command(subcommand)]
    Operator(HolderCommand),
    /// Invite those who ask for predictions.
    #[command(subcommand)]
    Client(HolderCommand),
    /// Read a ticket.
    #[command(subcommand)]
    Ticket(TicketCommand),
    /// Look at what operators have done.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Have one authority follow another.
    #[command(subcommand)]
    Authority(AuthorityCommand),
    /// Start, watch and end runs.
    #[command(subcommand)]
    Run(RunCommand),
    /// Say whether a run's archive is what it says: offline, without the coordinator.
    ///
    /// Exits 0 if everything in it holds, 1 if something does not.
    Verify(VerifyArgs),
    /// Ask a coordinator's model which digit a picture shows.
    Predict(PredictArgs),
    /// Train in this process, with no network: the reference with the same digest.
    Train(TrainArgs),
    /// Measure.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Fetch, verify and describe the MNIST files.
    #[command(subcommand)]
    Data(DataCommand),
    /// Look at this machine: can it train, and how fast?
    Doctor(DoctorArgs),
    /// Say what an error code means and what to do.
    Explain(ExplainArgs),
    /// Write a completion script for a shell.
    Completion(CompletionArgs),
}
