//! Asking for the proof that the log only grew.

use bytes::Bytes;
use prost::Message as _;
use syngrad_common::Failure;
use syngrad_common::limits::MAX_MESSAGE;
use syngrad_common::wire::receipt::decode_path;
use syngrad_engine::{Digest, RunId};
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::receipt_service_client::ReceiptServiceClient;

use super::{Client, failure_of};
use crate::guard::Record;

/// That the log of `run` with `seen` records is the beginning of that with `size`.
pub(crate) async fn proof(client: Client, run: RunId, seen: u64, size: u64) -> Result<Vec<Digest>, Failure> {
    let request = v1::GetHeadRequest { run: Bytes::copy_from_slice(&run.0), seen_size: seen, size };
    client.journal.record(|| Record::of_get_head(run, seen, size, request.encoded_len() as u64))?;
    let mut receipts = ReceiptServiceClient::new(client.channel).max_decoding_message_size(MAX_MESSAGE);
    let answer = receipts.get_head(request).await.map_err(|status| failure_of(&status))?;
    Ok(decode_path(&answer.into_inner().consistency)?)
}
