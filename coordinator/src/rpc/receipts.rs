//! `syngrad.v1.ReceiptService`: the log of runs, for whoever wants to check it.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use syngrad_common::wire::receipt::{encode_head, encode_path};
use syngrad_common::{Code, Failure, status, wire};
use syngrad_engine::receipt::{Tree, Whole};
use syngrad_engine::{Round, RunId};
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::receipt_service_server::ReceiptService;
use syngrad_store::{Reader, Records, RunRow};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::export;
use crate::receipts::LogKey;

/// Messages that wait for a slow reader.
const AHEAD: usize = 8;
/// Receipts that are read at a time.
const AT_ONCE: usize = 256;

/// See the module.
#[derive(Debug)]
pub(crate) struct Receipts {
    /// What reads them; none where nothing is kept.
    pub(crate) reader: Option<Reader>,
    /// What signs archives; none where no receipts are made.
    pub(crate) log: Option<Arc<LogKey>>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Whether whoever asked still listens.
pub(super) type Sent = Result<(), Failure>;

impl Receipts {
    /// Runs `work` on what is kept, on a thread that may wait; what it sends is the answer.
    fn answer<T: Send + 'static>(
        &self,
        run: &[u8],
        work: impl FnOnce(&Records, &RunRow, &mut dyn FnMut(T) -> Sent) -> Sent + Send + 'static,
    ) -> Result<Answers<T>, Status> {
        let run = named(run)?;
        let reader = self.reader.clone().ok_or_else(|| status::of(&nothing_kept()))?;
        let (answers, stream) = mpsc::channel(AHEAD);
        spawn_blocking(move || {
            let mut send = |answer| {
                let gone = |_| Failure::new(Code::ConnectionLost, "nobody listens any more");
                answers.blocking_send(Ok(answer)).map_err(gone)
            };
            let done = open(&reader, run).and_then(|(records, row)| work(&records, &row, &mut send));
            if let Err(failure) = done {
                // Whoever asked may be gone.
                let _ = answers.blocking_send(Err(status::of(&failure)));
            }
        });
        Ok(Box::pin(ReceiverStream::new(stream)))
    }
}

#[tonic::async_trait]
impl ReceiptService for Receipts {
    type ListReceiptsStream = Answers<v1::ListReceiptsResponse>;
    type ExportRunStream = Answers<v1::ExportRunResponse>;

    async fn list_receipts(
        &self,
        request: Request<v1::ListReceiptsRequest>,
    ) -> Result<Response<Self::ListReceiptsStream>, Status> {
        let v1::ListReceiptsRequest { run, first } = request.into_inner();
        let answers = self.answer(&run, move |records, row, send| list(records, row.run, Round(first), send))?;
        Ok(Response::new(answers))
    }

    async fn get_head(&self, request: Request<v1::GetHeadRequest>) -> Result<Response<v1::GetHeadResponse>, Status> {
        let v1::GetHeadRequest { run, seen_size, size } = request.into_inner();
        let run = named(&run)?;
        let reader = self.reader.clone().ok_or_else(|| status::of(&nothing_kept()))?;
        let found = spawn_blocking(move || {
            let (records, row) = open(&reader, run)?;
            head(&records, row.run, seen_size, size)
        });
        let found = found.await.map_err(|error| status::of(&Failure::new(Code::Internal, error.to_string())))?;
        found.map(Response::new).map_err(|failure| status::of(&failure))
    }

    async fn export_run(
        &self,
        request: Request<v1::ExportRunRequest>,
    ) -> Result<Response<Self::ExportRunStream>, Status> {
        let log = self.log.clone();
        let answers = self.answer(&request.get_ref().run, move |records, row, send| {
            let log = log.ok_or_else(|| none_of(row.run))?;
            export::export(records, row, &log, send)
        })?;
        Ok(Response::new(answers))
    }
}

fn open(reader: &Reader, run: Option<RunId>) -> Result<(Records, RunRow), Failure> {
    let records = reader.open().map_err(Failure::from)?;
    let row = records.run(run).map_err(Failure::from)?;
    let row = row.ok_or_else(|| {
        let why = run.map_or("no run has been started here".to_owned(), |run| format!("there is no run {run} here"));
        Failure::new(Code::RunNotFound, why)
    })?;
    Ok((records, row))
}

fn list(records: &Records, run: RunId, first: Round, send: &mut dyn FnMut(v1::ListReceiptsResponse) -> Sent) -> Sent {
    if records.heads(run).map_err(Failure::from)?.is_empty() {
        return Err(none_of(run));
    }
    let mut next = first;
    loop {
        let receipts = records.receipts(run, next, AT_ONCE).map_err(Failure::from)?;
        let Some(last) = receipts.last().map(|receipt| receipt.round) else { return Ok(()) };
        for receipt in receipts {
            let contributions = receipt.contributions.into_iter().map(Bytes::from).collect();
            send(v1::ListReceiptsResponse { record: receipt.record.into(), contributions })?;
        }
        next = last.next();
    }
}

fn head(records: &Records, run: RunId, seen: u64, size: u64) -> Result<v1::GetHeadResponse, Failure> {
    let newest = records.heads(run).map_err(Failure::from)?.pop().ok_or_else(|| none_of(run))?;
    let mut leaves = records.leaves(run).map_err(Failure::from)?;
    let size = if size == 0 { newest.head.size } else { size };
    let length = leaves.len() as u64;
    if seen > size || size > length {
        let why = format!("run {run} has {length} records; a proof from {seen} to {size} is none of them");
        return Err(Failure::new(Code::BadMessage, why));
    }
    leaves.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    let consistency = encode_path(&Whole::new(Tree::Log, leaves).consistency(seen));
    Ok(v1::GetHeadResponse { head: Some(encode_head(&newest)), consistency })
}

pub(super) fn none_of(run: RunId) -> Failure {
    Failure::new(Code::NoReceipts, format!("run {run} has no receipts"))
}

fn nothing_kept() -> Failure {
    Failure::new(Code::NoReceipts, "this coordinator keeps no state, and so no receipts")
}

/// The run a request names; none means the newest.
fn named(run: &[u8]) -> Result<Option<RunId>, Status> {
    match run {
        [] => Ok(None),
        run => wire::run_id("run", run).map(Some).map_err(|error| status::of(&error.into())),
    }
}
