//! The arithmetic through its public door: the same bits whoever computes what, and the right ones.

mod fixture;
mod optimizers;
mod rounding;
mod sums;
mod training;
