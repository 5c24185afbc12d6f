//! The request for a shard's samples.

use bytes::Bytes;
use syngrad_engine::{Digest, RunId};
use syngrad_proto::syngrad::v1;

use super::{ResumeToken, WireError, field};

/// A worker asks for a shard that is leased to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchShard {
    /// The run.
    pub run: RunId,
    /// The shard's content.
    pub shard: Digest,
    /// The token of the worker's session.
    pub resume: ResumeToken,
}

impl From<FetchShard> for v1::FetchShardRequest {
    fn from(request: FetchShard) -> Self {
        Self {
            run: Bytes::copy_from_slice(&request.run.0),
            shard_digest: Bytes::copy_from_slice(&request.shard.0),
            resume: request.resume.to_bytes(),
        }
    }
}

impl TryFrom<v1::FetchShardRequest> for FetchShard {
    type Error = WireError;

    fn try_from(request: v1::FetchShardRequest) -> Result<Self, WireError> {
        Ok(Self {
            run: field::run_id("FetchShardRequest.run", &request.run)?,
            shard: field::digest("FetchShardRequest.shard_digest", &request.shard_digest)?,
            resume: field::token("FetchShardRequest.resume", &request.resume)?,
        })
    }
}

/// A piece of a shard on its way to a worker.
#[must_use]
pub fn shard_frame(payload: Bytes) -> v1::FetchShardResponse {
    v1::FetchShardResponse { payload }
}

/// The piece of a shard in a response.
///
/// # Errors
/// [`WireError`] if it is empty or larger than a frame.
pub fn shard_payload(response: v1::FetchShardResponse) -> Result<Bytes, WireError> {
    field::frame("FetchShardResponse.payload", response.payload)
}
