//! Why a prediction is refused: one variant per reason, each naming what was expected and what came.

use syngrad_common::{Code, Failure};
use thiserror::Error;

/// A refusal of a request for a prediction or a model's metadata.
#[derive(Clone, Debug, PartialEq, Error)]
pub(super) enum InferError {
    #[error("model {name:?} is unknown; {}", served_text(served))]
    UnknownModel { name: String, served: Option<&'static str> },
    #[error(
        "model {name:?} has no version {version:?}; version {served:?} is served, and an empty version means the newest"
    )]
    UnknownVersion { name: &'static str, version: String, served: String },
    #[error("model {name:?} is not ready: no run has been evaluated yet; ask again after its first evaluation")]
    NotReady { name: String },
    #[error("input {expected:?} is missing")]
    MissingInput { expected: &'static str },
    #[error("input {found:?} is unknown; the model's only input is {expected:?}")]
    UnknownInput { expected: &'static str, found: String },
    #[error("input {name:?} is there {count} times; expected once")]
    DuplicateInput { name: &'static str, count: usize },
    #[error("input {input:?} has datatype {found:?}; expected {expected}")]
    Datatype { input: &'static str, expected: String, found: String },
    #[error("input {input:?} has shape {found}; expected {expected} for {datatype}, with at least one row")]
    Shape { input: &'static str, datatype: &'static str, expected: String, found: String },
    #[error("the batch has {found} rows; the limit is {limit}: send it in parts")]
    BatchTooLarge { limit: usize, found: i64 },
    #[error("raw_input_contents has {found} entries; expected {expected}, one for each input")]
    RawCount { expected: usize, found: usize },
    #[error("input {input:?} has both raw_input_contents and typed contents; expected one of them")]
    ContentsTwice { input: &'static str },
    #[error("input {input:?} has no contents; expected raw_input_contents, or {field} in its contents")]
    NoContents { input: &'static str, field: &'static str },
    #[error("input {input:?} of datatype {datatype} has values in {found}; expected them in {expected}")]
    ContentsField { input: &'static str, datatype: &'static str, expected: &'static str, found: &'static str },
    #[error("input {input:?} has {found} bytes; expected {expected} for shape {shape} of {datatype}")]
    ByteLength { input: &'static str, datatype: &'static str, shape: String, expected: usize, found: usize },
    #[error("input {input:?} has {found} values; expected {expected} for shape {shape}")]
    ValueCount { input: &'static str, shape: String, expected: usize, found: usize },
    #[error("input {input:?} is {value} at row {row}, feature {feature}; expected a finite number")]
    NotFinite { input: &'static str, row: usize, feature: usize, value: f32 },
    #[error("input {input:?} is {value} at row {row}, feature {feature}; expected 0 to 255 for UINT8")]
    NotAByte { input: &'static str, row: usize, feature: usize, value: u32 },
    #[error("tensor {tensor:?} is in shared memory, which this server does not read; send its contents in the request")]
    SharedMemory { tensor: String },
    #[error("output {found:?} is unknown; expected {expected}")]
    UnknownOutput { expected: String, found: String },
    #[error("output {name:?} is requested more than once")]
    DuplicateOutput { name: &'static str },
    #[error("classification of output {output:?} is {found}; expected {expected}")]
    Classification { output: &'static str, expected: String, found: String },
    #[error("{rows} rows would make more than {limit} that wait for an answer; ask again in a moment")]
    Busy { rows: usize, limit: usize },
    #[error("the prediction failed: {why}")]
    Failed { why: String },
}

impl InferError {
    /// The stable code, which says how the caller's gRPC library puts it.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::UnknownModel { .. } | Self::UnknownVersion { .. } => Code::ModelNotFound,
            Self::NotReady { .. } => Code::ModelNotReady,
            Self::BatchTooLarge { .. } => Code::BatchTooLarge,
            Self::Busy { .. } => Code::Busy,
            Self::Failed { .. } => Code::Internal,
            Self::MissingInput { .. }
            | Self::UnknownInput { .. }
            | Self::DuplicateInput { .. }
            | Self::Datatype { .. }
            | Self::Shape { .. }
            | Self::RawCount { .. }
            | Self::ContentsTwice { .. }
            | Self::NoContents { .. }
            | Self::ContentsField { .. }
            | Self::ByteLength { .. }
            | Self::ValueCount { .. }
            | Self::NotFinite { .. }
            | Self::NotAByte { .. }
            | Self::SharedMemory { .. }
            | Self::UnknownOutput { .. }
            | Self::DuplicateOutput { .. }
            | Self::Classification { .. } => Code::BadInput,
        }
    }
}

impl From<&InferError> for Failure {
    fn from(error: &InferError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

fn served_text(served: &Option<&'static str>) -> String {
    match served {
        Some(name) => format!("{name:?} is served"),
        None => "nothing is served yet".to_owned(),
    }
}
