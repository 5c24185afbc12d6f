//! Receipts: one encoding of everything, a log that only grows, and what a worker and an auditor find.

mod audit;
mod encoding;
mod witness;
mod world;
