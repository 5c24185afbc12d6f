//! The harness of the tests that run the real program: commands that end, and fleets that train.

pub mod fleet;
pub mod program;
pub mod specs;
