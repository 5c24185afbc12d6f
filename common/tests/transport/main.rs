//! Protected connections over real sockets: who comes in, who does not, and what everybody learns.

mod bad_credentials;
mod coordinator;
mod doors;
mod service;
mod standing;
