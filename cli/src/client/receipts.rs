//! Receipts of runs: listed, and exported as archives.

use syngrad_common::Code;
use syngrad_common::limits::MAX_MESSAGE;
use syngrad_common::wire::receipt::{Listed, decode_listed};
use syngrad_engine::RunId;
use syngrad_proto::syngrad::v1::export_run_response::Message;
use syngrad_proto::syngrad::v1::receipt_service_client::ReceiptServiceClient;
use syngrad_proto::syngrad::v1::{ExportRunRequest, ExportRunResponse, ListReceiptsRequest, ListReceiptsResponse};
use tonic::Streaming;
use tonic::transport::Channel;

use super::{Target, channel, failed, status};
use crate::failure::Failure;

/// A connection to a coordinator's receipts.
#[derive(Clone, Debug)]
pub struct Receipts {
    receipts: ReceiptServiceClient<Channel>,
}

/// The receipts of a run, one after another.
#[derive(Debug)]
pub struct Listing(Streaming<ListReceiptsResponse>);

/// The files of an archive, piece by piece.
#[derive(Debug)]
pub struct Shipment(Streaming<ExportRunResponse>);

/// A piece of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The next file begins.
    File {
        /// Its path in the archive.
        path: String,
        /// Its length.
        bytes: u64,
    },
    /// More of the file that began last.
    Contents(bytes::Bytes),
}

impl Receipts {
    /// Connects to a coordinator.
    ///
    /// # Errors
    /// If its address is not allowed without TLS, or nobody answers there.
    pub async fn connect(target: &Target) -> Result<Self, Failure> {
        let receipts = ReceiptServiceClient::new(channel(target).await?).max_decoding_message_size(MAX_MESSAGE);
        Ok(Self { receipts })
    }

    /// The receipts of a run, the newest if none is named.
    ///
    /// # Errors
    /// If there is no such run, or it has none.
    pub async fn list(&mut self, run: Option<RunId>) -> Result<Listing, Failure> {
        let request = ListReceiptsRequest { run: status::name(run), first: 0 };
        let answer = self.receipts.list_receipts(request).await.map_err(|status| failed(&status))?;
        Ok(Listing(answer.into_inner()))
    }

    /// The archive of a run, the newest if none is named.
    ///
    /// # Errors
    /// If there is no such run, or it has no receipts.
    pub async fn export(&mut self, run: Option<RunId>) -> Result<Shipment, Failure> {
        let request = ExportRunRequest { run: status::name(run) };
        let answer = self.receipts.export_run(request).await.map_err(|status| failed(&status))?;
        Ok(Shipment(answer.into_inner()))
    }
}

impl Listing {
    /// The next receipt; none after the last.
    ///
    /// # Errors
    /// If the coordinator breaks off.
    pub async fn next(&mut self) -> Result<Option<Listed>, Failure> {
        match self.0.message().await.map_err(|status| failed(&status))? {
            None => Ok(None),
            Some(listed) => Ok(Some(decode_listed(listed).map_err(syngrad_common::Failure::from)?)),
        }
    }
}

impl Shipment {
    /// The next piece; none after the last.
    ///
    /// # Errors
    /// If the coordinator breaks off.
    pub async fn next(&mut self) -> Result<Option<Piece>, Failure> {
        let Some(response) = self.0.message().await.map_err(|status| failed(&status))? else { return Ok(None) };
        match response.message {
            Some(Message::File(file)) => Ok(Some(Piece::File { path: file.path, bytes: file.bytes })),
            Some(Message::Frame(frame)) => Ok(Some(Piece::Contents(frame.payload))),
            None => Err(Failure::new(Code::BadMessage, "the coordinator sent neither a file nor a piece of one")),
        }
    }
}
