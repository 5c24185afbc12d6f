use std::path::PathBuf;

use clap::Args;
use syngrad_engine::PartnerName;
use syngrad_model::Device;

use super::Coordinator;

/// Of `run export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The run's id, or `latest`.
    #[arg(default_value = "latest", value_name = "RUN")]
    pub run: String,
    /// The folder that gets the archive; new or empty.
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Where the run is.
    #[command(flatten)]
    pub coordinator: Coordinator,
}

/// Of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The archive's folder, as `run export` wrote it.
    pub archive: PathBuf,
    /// Believe only the authority whose certificate has this SHA-256. Without it the archive's own word is taken for who
    /// its authorities are.
    #[arg(long, value_name = "SHA256")]
    pub authority: Option<String>,
    /// A head of the log that a worker has seen: `log-RUN.json` in its state folder. The archive must go on from it.
    #[arg(long, value_name = "FILE")]
    pub witness: Vec<PathBuf>,
    /// Compute units again and compare: the folder of the samples, or PARTNER=FOLDER for samples that a partner keeps.
    #[arg(long, value_name = "FOLDER", value_parser = samples)]
    pub data: Vec<SamplesAt>,
    /// What computes units again.
    #[arg(long, default_value = "flex", env = "SYNGRAD_DEVICE")]
    pub device: Device,
}

/// Where samples are.
#[derive(Clone, Debug)]
pub struct SamplesAt {
    /// Whose they are; none if the coordinator had them.
    pub partner: Option<PartnerName>,
    /// The folder.
    pub folder: PathBuf,
}

fn samples(text: &str) -> Result<SamplesAt, String> {
    match text.split_once('=') {
        None => Ok(SamplesAt { partner: None, folder: text.into() }),
        Some((partner, folder)) => {
            let partner = PartnerName::parse(partner).map_err(|why| why.to_string())?;
            Ok(SamplesAt { partner: Some(partner), folder: folder.into() })
        }
    }
}
