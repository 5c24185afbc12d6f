//! Asking for the proof that the log only grew.

use bytes::Bytes;
use syngrad_common::Failure;
use syngrad_common::limits::MAX_MESSAGE;
use syngrad_common::wire::receipt::decode_path;
use syngrad_engine::{Digest, RunId};
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::receipt_service_client::ReceiptServiceClient;
use tonic::transport::Channel;

use super::failure_of;

/// That the log of `run` with `seen` records is the beginning of that with `size`.
pub(crate) async fn proof(channel: Channel, run: RunId, seen: u64, size: u64) -> Result<Vec<Digest>, Failure> {
    let mut client = ReceiptServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
    let request = v1::GetHeadRequest { run: Bytes::copy_from_slice(&run.0), seen_size: seen, size };
    let answer = client.get_head(request).await.map_err(|status| failure_of(&status))?;
    Ok(decode_path(&answer.into_inner().consistency)?)
}
