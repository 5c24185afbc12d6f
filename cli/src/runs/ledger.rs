//! `run ledger`: what each partner gave, from the log.

use std::collections::BTreeMap;

use serde::Serialize;
use syngrad_common::error::Code;
use syngrad_engine::receipt::{Contribution, Record, Verdict};

use super::id;
use crate::args::RunName;
use crate::client::{Receipts, Target};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::table::{rows, thousands};

/// What a partner gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Account {
    pub(crate) partner: String,
    /// Rounds that it gave something to.
    pub(crate) rounds: u64,
    /// Updates that are in the params.
    pub(crate) updates: u64,
    /// Units that are in the params.
    pub(crate) units: u64,
    /// Examples behind them.
    pub(crate) samples: u64,
    /// From leases to answers, in seconds.
    pub(crate) seconds: f64,
    /// Bytes of payloads.
    pub(crate) bytes: u64,
    /// Updates that were not counted.
    pub(crate) late: u64,
    pub(crate) duplicate: u64,
    pub(crate) rejected: u64,
}

/// What all partners of a run gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Ledger {
    pub(crate) run: String,
    pub(crate) rounds: u64,
    pub(crate) partners: Vec<Account>,
}

/// Adds receipts up.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    run: String,
    rounds: u64,
    partners: BTreeMap<String, Account>,
}

impl Accounts {
    pub(crate) fn add(&mut self, record: &Record, contributions: &[Contribution]) {
        self.run = record.run.to_string();
        self.rounds += 1;
        let mut gave: BTreeMap<&str, bool> = BTreeMap::new();
        for contribution in contributions {
            let partner = contribution.partner.as_str();
            let account = self.partners.entry(partner.to_owned()).or_default();
            account.bytes += contribution.payload_bytes;
            match contribution.verdict {
                Verdict::Accepted => {
                    account.updates += 1;
                    account.units += contribution.units.len() as u64;
                    account.samples += contribution.weight;
                    account.seconds += contribution.micros as f64 / 1e6;
                    gave.insert(partner, true);
                }
                Verdict::Late(_) => account.late += 1,
                Verdict::Duplicate(_) => account.duplicate += 1,
                Verdict::Rejected(_) => account.rejected += 1,
                Verdict::Audited => {}
            }
        }
        for partner in gave.into_keys() {
            if let Some(account) = self.partners.get_mut(partner) {
                account.rounds += 1;
            }
        }
    }

    pub(crate) fn ledger(self) -> Ledger {
        let named = |(partner, account)| Account { partner, ..account };
        Ledger { run: self.run, rounds: self.rounds, partners: self.partners.into_iter().map(named).collect() }
    }
}

pub(super) async fn ledger(name: &RunName, output: Output) -> Result<Exit, Failure> {
    let unreadable = |why| Failure::new(Code::RecordForeign, format!("the coordinator's log cannot be read: {why}"));
    let mut receipts = Receipts::connect(&Target::named(&name.coordinator)?).await?;
    let mut listing = receipts.list(id(name)).await?;
    let mut accounts = Accounts::default();
    while let Some(listed) = listing.next().await? {
        let record = Record::decode(&listed.record).map_err(unreadable)?;
        let contributions = listed.contributions.iter().map(|bytes| Contribution::decode(bytes));
        let contributions = contributions.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        accounts.add(&record, &contributions);
    }
    output.result(&accounts.ledger());
    Ok(Exit::Ok)
}

impl Report for Ledger {
    fn text(&self) -> String {
        rows(
            ["partner", "rounds", "updates", "units", "samples", "seconds", "bytes", "late", "duplicate", "rejected"],
            &["rounds", "updates", "units", "samples", "seconds", "bytes", "late", "duplicate", "rejected"],
            self.partners.iter().map(|of| {
                let [rounds, updates, units, samples] = [of.rounds, of.updates, of.units, of.samples].map(thousands);
                let [bytes, late, duplicate, rejected] = [of.bytes, of.late, of.duplicate, of.rejected].map(thousands);
                let seconds = format!("{:.1}", of.seconds);
                [of.partner.clone(), rounds, updates, units, samples, seconds, bytes, late, duplicate, rejected]
            }),
        )
    }
}
