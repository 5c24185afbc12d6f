//! Networks, their training and prediction, and the datasets they learn from.
//!
//! burn lives in this crate and nowhere else: params go in and come out as flat vectors of f32 in the order of a
//! [`layout`], samples as bytes, and no type of burn is in any signature.
//!
//! * before a run: [`layout`], [`initial_params`], [`fingerprint`], [`Dataset`]
//! * a unit of work: [`Trainer`]; the whole run in one process: [`reference`](mod@reference)
//! * what came out: [`Evaluator`], [`Predictor`], [`picture`]
//!
//! A feature is a byte, and the networks see it as byte / 255: that scaling is part of a model's input contract.

mod architecture;
pub mod dataset;
mod device;
mod evaluate;
mod flat;
mod loss;
mod numerics;
pub mod picture;
mod predict;
pub mod reference;
mod shape;
mod train;

pub use dataset::private::{PrivateData, PrivateDataError, PrivateMismatch};
pub use dataset::{DataError, Dataset, Samples, shard};
pub use device::{Device, DeviceError};
pub use evaluate::{ClassScore, Evaluation, Evaluator};
pub use flat::{initial_params, layout};
pub use loss::argmax;
pub use numerics::fingerprint;
pub use predict::{PredictError, Predictor};
pub use shape::ShapeError;
pub use train::{TrainError, Trainer, UnitReport};
