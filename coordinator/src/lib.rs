//! The coordinator: sessions of workers, the driver of a run, evaluation and serving.

mod served;

pub use served::ServedModel;
