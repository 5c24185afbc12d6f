//! The harness of the tests that run the real program: commands that end, fleets that train, and bad networks.

pub mod fleet;
pub mod inside;
pub mod namespace;
pub mod program;
pub mod relay;
pub mod specs;
