//! `verify`: whether an archive is what it says, without the coordinator and without a network.
//!
//! ```text
//!   folder ─► files: all that the manifest names, and nothing else
//!          ─► certificates: the log's and the workers' lead to an authority, at the time of each round
//!          ─► engine::receipt::Audit: the log, its heads, its contributions; each round computed again from its updates
//!          ─► samples, if they are here: units computed again from the params of their round
//! ```

mod certificates;
mod files;
mod report;
mod units;

use std::time::Instant;

use syngrad_common::archive::{self, Manifest, Seen};
use syngrad_common::config::CanonicalSpec;
use syngrad_common::error::Code;
use syngrad_common::wire::receipt::SignedHead;
use syngrad_engine::receipt::{
    Audit, Check, Checks, Contribution, Facts, Fault, Finding, Receipt, Record, Subject, Verdict, policy,
};
use syngrad_engine::run::QuorumRule;
use syngrad_engine::spec::Archive;
use syngrad_engine::state::TrainingState;
use syngrad_engine::{Digest, Plan, Round, RunId};
use syngrad_model::{initial_params, layout};

use crate::args::VerifyArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use certificates::Certificates;
use files::Files;
pub use report::Verified;
use units::Units;

pub(crate) fn run(args: &VerifyArgs, output: Output) -> Result<Exit, Failure> {
    let verified = verify(args, &Checks::all())?;
    match verified.failure() {
        None => {
            output.result(&verified);
            Ok(Exit::Ok)
        }
        Some(failure) => Ok(output.failed_result(&verified, &failure)),
    }
}

/// Verifies an archive with these checks.
///
/// # Errors
/// [`Failure`] if the archive cannot be read at all, or the samples do not fit.
pub fn verify(args: &VerifyArgs, checks: &Checks) -> Result<Verified, Failure> {
    let began = Instant::now();
    let mut verified = Verified::default();
    let mut files = Files::open(&args.archive, checks)?;
    let manifest = files.manifest().clone();
    let run = manifest.run().ok_or_else(|| unreadable("its manifest names no run"))?;
    let spec = CanonicalSpec::parse(&files.text(archive::SPEC)?).map_err(|why| unreadable(&why.to_string()))?;
    if spec.text() != files.text(archive::SPEC)? {
        files.find(archive::SPEC, "it is not written as specs are");
    }
    let (facts, plan) = facts(run, &manifest, &spec)?;
    let certificates = Certificates::read(&mut files, args.authority.as_deref(), checks);
    verified.begin(&manifest, &spec, &certificates);
    let mut audit = Audit::new(facts, plan.clone(), checks.clone());
    if spec.spec().archive == Archive::Updates {
        audit = audit.from_state(first_state(&spec, &plan)?);
    }
    let units = match args.data.is_empty() {
        true => None,
        false => Some(Units::open(&spec, &plan, &manifest, &args.data, args.device)?),
    };
    let course = Course { files, certificates, audit, units, checks, verified };
    let mut verified = course.go(run, &manifest, &args.witness)?;
    verified.seconds = began.elapsed().as_secs_f64();
    Ok(verified)
}

fn unreadable(why: &str) -> Failure {
    Failure::new(Code::ArchiveUnreadable, format!("the archive cannot be read: {why}"))
}

/// What every record of the run must say, and what its weights come from.
fn facts(run: RunId, manifest: &Manifest, spec: &CanonicalSpec) -> Result<(Facts, Plan), Failure> {
    let plan = match &manifest.shards {
        Some(sizes) => Plan::with_shards(spec.spec(), sizes),
        None => Plan::new(spec.spec(), manifest.samples),
    };
    let plan = plan.map_err(|why| unreadable(&why.to_string()))?;
    let numerics = Digest::from_hex(&manifest.numerics).ok_or_else(|| unreadable("its numerics class is none"))?;
    let quorum = QuorumRule::new(&spec.spec().quorum, plan.units());
    let facts = Facts {
        run,
        spec: spec.digest(),
        layout: layout(&spec.spec().model).digest(),
        numerics,
        policy: policy(&quorum, spec.spec().numerics),
    };
    Ok((facts, plan))
}

fn first_state(spec: &CanonicalSpec, plan: &Plan) -> Result<TrainingState, Failure> {
    let model = &spec.spec().model;
    let params = initial_params(model, spec.spec().seed);
    TrainingState::new(spec.spec(), plan, layout(model), params).map_err(|why| unreadable(&why.to_string()))
}

/// An archive that is being verified.
struct Course<'a> {
    files: Files,
    certificates: Certificates,
    audit: Audit,
    units: Option<Units>,
    checks: &'a Checks,
    verified: Verified,
}

impl Course<'_> {
    fn go(mut self, run: RunId, manifest: &Manifest, witnesses: &[std::path::PathBuf]) -> Result<Verified, Failure> {
        self.check_manifest();
        let mut first = Round(0);
        while u64::from(first.0) < manifest.records {
            let file = archive::segment(first);
            let Some(bytes) = self.files.bytes(&file) else { break };
            let receipts = match archive::decode_receipts(&file, first, &bytes) {
                Ok(receipts) if !receipts.is_empty() => receipts,
                Ok(_) => break,
                Err(why) => {
                    self.files.find(&file, &why.to_string());
                    break;
                }
            };
            first = Round(first.0.saturating_add(receipts.len() as u32));
            receipts.iter().try_for_each(|receipt| self.receipt(receipt))?;
        }
        self.check_heads(run, manifest);
        for path in witnesses {
            let text = std::fs::read(path).map_err(|why| Failure::named_file("reading what a worker saw", &why))?;
            let seen = serde_json::from_slice(&text).ok().and_then(|seen: Seen| seen.head());
            let seen = seen.ok_or_else(|| Failure::usage(&format!("{} is no head of a log", path.display())))?;
            self.head(&seen);
        }
        self.verified.end(&self.audit, &self.files.into_findings(), &self.certificates.into_findings());
        Ok(self.verified)
    }

    fn check_manifest(&mut self) {
        let statement = archive::statement(self.files.manifest_bytes());
        let signature = self.files.signature();
        let is_signed = signature.is_some_and(|signature| self.certificates.is_logs(&statement, &signature));
        if !is_signed && self.checks.has(Check::Signatures) {
            self.files.find(archive::SIGNATURE, "it is not the log key's signature over the manifest");
        }
    }

    fn receipt(&mut self, receipt: &Receipt) -> Result<(), Failure> {
        let at = Record::decode(&receipt.record).map_or(0, |record| record.at);
        let opens =
            self.units.as_ref().and(self.audit.state()).map(|state| (state.params().clone(), state.grid().clone()));
        let (certificates, files) = (&mut self.certificates, &self.files);
        let taken = self.audit.record(
            &receipt.record,
            &receipt.contributions,
            &mut |contribution, message| certificates.is_workers(files, contribution, at, message),
            &mut |payload| files.optional(&archive::update(payload)),
        );
        let Some((record, contributions)) = taken else { return Ok(()) };
        self.verified.count(&record, &contributions);
        if let (Some(units), Some((params, grid))) = (&mut self.units, opens) {
            for contribution in contributions.iter().filter(|of| of.verdict == Verdict::Accepted) {
                match units.compute(contribution, &params, &grid)? {
                    None => {}
                    Some(digest) if digest == contribution.payload => {
                        self.verified.units += contribution.units.len() as u64;
                    }
                    Some(digest) => {
                        let detail = format!("its update is {}, computed again it is {digest}", contribution.payload);
                        self.audit.find(record.round, Some(subject(contribution)), Fault::OtherUpdate, detail);
                    }
                }
            }
        }
        Ok(())
    }

    fn check_heads(&mut self, run: RunId, manifest: &Manifest) {
        let bytes = self.files.bytes(archive::HEADS).unwrap_or_default();
        let heads = archive::decode_heads(run, &bytes).unwrap_or_else(|why| {
            self.files.find(archive::HEADS, &why.to_string());
            Vec::new()
        });
        let last = heads.last().map_or(0, |head| head.head.size);
        let records = self.audit.root().size;
        if (last, records) != (manifest.records, manifest.records) && self.checks.has(Check::Growth) {
            let why =
                format!("there are {records} records, the manifest says {}, the newest head {last}", manifest.records);
            self.files.find(archive::HEADS, &why);
        }
        heads.iter().for_each(|head| self.head(head));
    }

    fn head(&mut self, signed: &SignedHead) {
        let is_signed = self.certificates.is_logs(&signed.head.encode(), &signed.signature);
        self.verified.heads += 1;
        self.audit.head(&signed.head, is_signed);
    }
}

fn subject(contribution: &Contribution) -> Subject {
    Subject { partner: contribution.partner.clone(), worker: contribution.worker }
}

/// A finding about the whole.
fn about_all(fault: Fault, detail: String) -> Finding {
    Finding { round: None, subject: None, fault, detail }
}
