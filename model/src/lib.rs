//! Networks, their training and prediction.
//!
//! burn lives in this crate and nowhere else: params go in and come out as flat vectors of f32 in the order of a
//! [`layout`], samples as bytes, and no type of burn is in any signature.
//!
//! * before a run: [`layout`], [`initial_params`], [`fingerprint`]
//! * a unit of work: [`Trainer`]; the whole run in one process: [`reference`](mod@reference)
//! * what came out: [`Evaluator`], [`Predictor`]
//!
//! What they learn from is in [`syngrad_dataset`].

mod architecture;
mod device;
mod evaluate;
mod flat;
mod loss;
mod numerics;
mod predict;
pub mod reference;
mod shape;
mod train;

pub use device::{Device, DeviceError};
pub use evaluate::{ClassScore, Evaluation, Evaluator};
pub use flat::{initial_params, layout};
pub use loss::argmax;
pub use numerics::fingerprint;
pub use predict::{PredictError, Predictor};
pub use shape::ShapeError;
pub use train::{TrainError, Trainer, UnitReport};
