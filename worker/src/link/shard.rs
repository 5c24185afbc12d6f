//! Fetching a shard's bytes.

use bytes::Bytes;
use syngrad_common::Failure;
use syngrad_common::codec::Assembler;
use syngrad_common::limits::MAX_SHARD;
use syngrad_common::wire::{FetchShard, shard_payload};
use syngrad_engine::digest::Domain;

use super::{Client, failure_of};

/// Fetches a shard of `size` bytes and verifies its digest.
pub(crate) async fn fetch(mut client: Client, request: FetchShard, size: u64) -> Result<Bytes, Failure> {
    let mut assembler = Assembler::new(Domain::Shard, request.shard, size, MAX_SHARD)?;
    let call = client.fetch_shard(tonic::Request::new(request.into())).await;
    let mut stream = call.map_err(|status| failure_of(&status))?.into_inner();
    while let Some(response) = stream.message().await.map_err(|status| failure_of(&status))? {
        assembler.push(shard_payload(response)?)?;
    }
    Ok(assembler.finish()?)
}
