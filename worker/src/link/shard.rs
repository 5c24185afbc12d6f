//! Fetching a shard's bytes.

use bytes::Bytes;
use prost::Message as _;
use syngrad_common::Failure;
use syngrad_common::codec::Assembler;
use syngrad_common::limits::MAX_SHARD;
use syngrad_common::wire::{FetchShard, shard_payload};
use syngrad_engine::digest::Domain;
use syngrad_proto::syngrad::v1;

use super::{Client, failure_of};
use crate::guard::Record;

/// Fetches a shard of `size` bytes and verifies its digest.
pub(crate) async fn fetch(mut client: Client, request: FetchShard, size: u64) -> Result<Bytes, Failure> {
    let mut assembler = Assembler::new(Domain::Shard, request.shard, size, MAX_SHARD)?;
    let message = v1::FetchShardRequest::from(request.clone());
    client.journal.record(|| Record::of_fetch(&request, message.encoded_len() as u64))?;
    let call = client.stub.fetch_shard(tonic::Request::new(message)).await;
    let mut stream = call.map_err(|status| failure_of(&status))?.into_inner();
    while let Some(response) = stream.message().await.map_err(|status| failure_of(&status))? {
        assembler.push(shard_payload(response)?)?;
    }
    Ok(assembler.finish()?)
}
