//! One shard: fetched, verified, decoded.

use syngrad_common::wire::FetchShard;
use syngrad_common::{Code, Failure};
use syngrad_dataset::{Samples, shard};
use syngrad_engine::Digest;

use crate::link::{self, Client};

/// Times a shard that arrives damaged is fetched.
const TRIES: u32 = 2;

/// What came of a fetch.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(super) shard: Digest,
    pub(super) outcome: Result<(Samples, u64), Obstacle>,
}

/// Why there are no samples.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// They are not what was announced, each time.
    Damaged(Failure),
    /// The coordinator does not give them now.
    Unavailable(Failure),
}

/// Fetches the samples of a shard of `expected` samples, `size` bytes encoded.
pub(super) async fn fetch(client: Client, request: FetchShard, size: u64, expected: u32) -> Fetched {
    let shard = request.shard;
    let mut tried = 1;
    let outcome = loop {
        match attempt(client.clone(), request.clone(), size, expected).await {
            Err(Obstacle::Damaged(failure)) if tried < TRIES => {
                tracing::warn!(%shard, why = %failure, "a shard arrived damaged and is fetched again");
                tried += 1;
            }
            outcome => break outcome,
        }
    };
    Fetched { shard, outcome }
}

async fn attempt(client: Client, request: FetchShard, size: u64, expected: u32) -> Result<(Samples, u64), Obstacle> {
    let short = request.shard.short();
    let damaged = |why: String| {
        Obstacle::Damaged(Failure::new(Code::ShardCorrupt, format!("the samples of shard {short} are damaged: {why}")))
    };
    let is_damage = |code| matches!(code, Code::BadPayload | Code::PayloadTooLarge | Code::BadMessage);
    let bytes = link::fetch(client, request, size).await.map_err(|failure| match is_damage(failure.code) {
        true => damaged(failure.message),
        false => Obstacle::Unavailable(failure),
    })?;
    let read = bytes.len() as u64;
    let decoding = tokio::task::spawn_blocking(move || shard::decode(&bytes)).await;
    let samples = decoding.map_err(|error| damaged(error.to_string()))?.map_err(|error| damaged(error.to_string()))?;
    match samples.len() == expected as usize {
        true => Ok((samples, read)),
        false => Err(damaged(format!("there are {} of them, and the run's plan has {expected}", samples.len()))),
    }
}
