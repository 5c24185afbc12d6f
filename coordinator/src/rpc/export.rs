//! An archive, file by file: whatever is in it goes out before the manifest that names it.

use std::collections::BTreeSet;

use bytes::Bytes;
use syngrad_common::archive::{self, File, Manifest, SEGMENT};
use syngrad_common::limits::MAX_FRAME;
use syngrad_common::{Code, Failure};
use syngrad_engine::Round;
use syngrad_engine::receipt::{Contribution, Fingerprint};
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::export_run_response::Message;
use syngrad_store::{Records, RunRow};

use super::receipts::{Sent, none_of};
use crate::receipts::LogKey;

/// Sends files and remembers them.
struct Shipment<'a> {
    send: &'a mut dyn FnMut(v1::ExportRunResponse) -> Sent,
    files: Vec<File>,
}

impl Shipment<'_> {
    fn file(&mut self, path: String, contents: &[u8]) -> Sent {
        self.ship(&path, contents)?;
        self.files.push(File::of(path, contents));
        Ok(())
    }

    fn ship(&mut self, path: &str, contents: &[u8]) -> Sent {
        let file = v1::ArchiveFile { path: path.to_owned(), bytes: contents.len() as u64 };
        (self.send)(v1::ExportRunResponse { message: Some(Message::File(file)) })?;
        for frame in contents.chunks(MAX_FRAME) {
            let frame = v1::Frame { payload: Bytes::copy_from_slice(frame) };
            (self.send)(v1::ExportRunResponse { message: Some(Message::Frame(frame)) })?;
        }
        Ok(())
    }

    fn chain(&mut self, holder: &str, chain: &[Vec<u8>]) -> Sent {
        let certificates = chain.iter().enumerate();
        certificates.into_iter().try_for_each(|(place, der)| self.file(archive::certificate(holder, place), der))
    }
}

/// Sends the archive of a run as it is now, or as it ended.
pub(super) fn export(
    records: &Records,
    row: &RunRow,
    log: &LogKey,
    send: &mut dyn FnMut(v1::ExportRunResponse) -> Sent,
) -> Sent {
    let run = row.run;
    let heads = records.heads(run).map_err(Failure::from)?;
    let size = heads.last().ok_or_else(|| none_of(run))?.head.size;
    let cutting = records.cutting(run).map_err(Failure::from)?.ok_or_else(|| none_of(run))?;
    let mut shipment = Shipment { send, files: Vec::new() };
    shipment.file(archive::SPEC.to_owned(), row.spec.as_bytes())?;
    shipment.file(archive::HEADS.to_owned(), &archive::encode_heads(&heads))?;
    let (holders, payloads) = ship_receipts(records, row, size, &mut shipment)?;
    shipment.chain("log", &log.chain)?;
    shipment.chain("root", &log.roots)?;
    for holder in holders {
        // One that nobody needs is missing; one that is needed is missed by whoever verifies.
        if let Some(chain) = records.certificate(holder).map_err(Failure::from)? {
            shipment.chain(&holder.to_string(), &chain)?;
        }
    }
    for archived in records.archived(run).map_err(Failure::from)? {
        if payloads.contains(&archived.payload) {
            let contents = records.blob(archived.blob).map_err(Failure::from)?;
            shipment.file(archive::update(archived.payload), &contents)?;
        }
    }
    let Shipment { mut files, send } = shipment;
    files.sort();
    let manifest = Manifest {
        version: archive::VERSION,
        run: run.to_string(),
        records: size,
        samples: cutting.samples,
        shards: cutting.shards,
        numerics: cutting.numerics.to_string(),
        files,
    };
    let manifest = manifest.encode();
    let mut shipment = Shipment { send, files: Vec::new() };
    shipment.ship(archive::MANIFEST, &manifest)?;
    shipment.ship(archive::SIGNATURE, &log.key.sign(&archive::statement(&manifest)).0)
}

type Named = (BTreeSet<Fingerprint>, BTreeSet<syngrad_engine::Digest>);

/// Sends all receipts up to `size`; the certificates and payloads that they name.
fn ship_receipts(records: &Records, row: &RunRow, size: u64, shipment: &mut Shipment<'_>) -> Result<Named, Failure> {
    let (mut holders, mut payloads) = Named::default();
    let mut first = Round(0);
    while u64::from(first.0) < size {
        let most = usize::try_from(size - u64::from(first.0)).unwrap_or(SEGMENT).min(SEGMENT);
        let receipts = records.receipts(row.run, first, most).map_err(Failure::from)?;
        let Some(last) = receipts.last().map(|receipt| receipt.round) else {
            let why = format!("the receipt of round {first} of run {} is missing", row.run);
            return Err(Failure::new(Code::StateDamaged, why));
        };
        for bytes in receipts.iter().flat_map(|receipt| &receipt.contributions) {
            if let Ok(contribution) = Contribution::decode(bytes) {
                holders.insert(contribution.certificate);
                payloads.insert(contribution.payload);
            }
        }
        shipment.file(archive::segment(first), &archive::encode_receipts(&receipts))?;
        first = last.next();
    }
    Ok((holders, payloads))
}
