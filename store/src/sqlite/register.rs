//! The register of a consortium: who takes part, and the log of administrative acts.
//!
//! It has a connection of its own, so that a decision about a partner waits for no round, and no round for it, but for
//! the moment in which one of them writes. Each decision is one transaction, fenced by the epoch like every other write,
//! and on disk before it is answered.

use std::path::PathBuf;

use rusqlite::types::{FromSql, Type};
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};
use syngrad_engine::consortium::{
    Admission, Audit, AuditEntry, Authority, AuthorityId, Certificate, Change, Consortium, Holder, HolderRecord,
    Invitation, InvitationId, KeyId, Moment, Outlived, Record, Redemption, SecretDigest, Serial, State, Trust,
    Validity,
};
use syngrad_engine::keeping::Epoch;
use syngrad_engine::{ConsortiumName, Digest, HolderName, PartnerName, Principal};

use super::schema::{append, insert, know_seals};
use super::{check_epoch, empty_log, error};
use crate::StoreError;

/// Entries of the log of acts that are read at once.
const PAGE: usize = 1000;

/// A consortium's name, and where its coordinator is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founding {
    /// Its name.
    pub name: ConsortiumName,
    /// Each host:port, best first.
    pub addresses: Vec<String>,
}

/// What is kept of a consortium.
#[derive(Debug)]
pub struct Recalled {
    /// Its name and addresses.
    pub founding: Founding,
    /// Who takes part.
    pub consortium: Consortium,
    /// Where the log of acts stands.
    pub audit: Audit,
}

/// See the module.
#[derive(Debug)]
pub struct Register {
    connection: Connection,
    file: PathBuf,
    epoch: Epoch,
}

impl Register {
    /// The register in a database that is opened and checked already.
    pub(super) fn open(file: PathBuf, epoch: Epoch) -> Result<Self, StoreError> {
        let opened = Connection::open(&file).and_then(|connection| {
            know_seals(&connection)?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
            Ok(connection)
        });
        match opened {
            Ok(connection) => Ok(Self { connection, file, epoch }),
            Err(why) => Err(error(&file, "opening it", &why)),
        }
    }

    /// Keeps what a consortium begins with.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is kept then.
    pub fn found(&mut self, founding: &Founding, steps: &[(Change, Option<AuditEntry>)]) -> Result<(), StoreError> {
        self.write(|transaction| {
            let found = insert("consortium");
            transaction.execute(&found, params![1, founding.name.as_str(), founding.addresses.join("\n")])?;
            steps.iter().try_for_each(|(change, entry)| write(transaction, change, entry.as_ref()))
        })
    }

    /// Makes a decision durable.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of it is kept then.
    pub fn keep(&mut self, change: &Change, entry: Option<&AuditEntry>) -> Result<(), StoreError> {
        self.write(|transaction| write(transaction, change, entry))
    }

    fn write(&mut self, step: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>) -> Result<(), StoreError> {
        let file = self.file.clone();
        let failed = |why: rusqlite::Error| error(&file, "keeping who takes part", &why);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        check_epoch(&transaction, self.epoch, failed)?;
        step(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        // It is durable by now, wherever it lies: what the log cannot be brought into today, it is tomorrow.
        if let Err(why) = empty_log(&self.connection) {
            tracing::debug!(%why, "the log was not emptied");
        }
        Ok(())
    }

    /// What is kept; none if no consortium was founded here.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read, or the log of acts is not whole.
    pub fn recall(&self) -> Result<Option<Recalled>, StoreError> {
        let founding = self.rows("SELECT name, addresses FROM consortium", |row| {
            let addresses: String = row.get(1)?;
            let addresses = addresses.split('\n').map(str::to_owned).collect();
            Ok(Founding { name: parsed(row, 0, |text| ConsortiumName::parse(text).ok())?, addresses })
        })?;
        let Some(founding) = founding.into_iter().next() else { return Ok(None) };
        let mut records = self.rows("SELECT authority, trust, since FROM authorities", authority)?;
        records.extend(
            self.rows("SELECT role, name, state, reason, max_workers, joined, seen FROM holders", holder_record)?,
        );
        let invitations = "SELECT role, name, invitation, secret, expires, uses, admission, validity FROM invitations";
        records.extend(self.rows(invitations, invitation)?);
        records.extend(self.rows("SELECT invitation, key, principal FROM redemptions", redemption)?);
        let certificates = "SELECT serial, principal, key, authority, not_after, validity FROM certificates";
        records.extend(self.rows(certificates, certificate)?);
        let mut audit = Audit::default();
        loop {
            let entries = self.audit(audit.entries() + 1, PAGE)?;
            for entry in &entries {
                audit.take(entry).map_err(|why| StoreError::Damaged {
                    what: format!("the database {} is damaged: {why}", self.file.display()),
                })?;
            }
            if entries.is_empty() {
                break;
            }
        }
        Ok(Some(Recalled { founding, consortium: Consortium::recalled(records), audit }))
    }

    /// Entries of the log of acts from `first` on, in order, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub fn audit(&self, first: u64, most: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let query = format!(
            "SELECT number, at, who, what, reason, digest FROM audit WHERE number >= {} ORDER BY number LIMIT {most}",
            first.min(i64::MAX as u64)
        );
        self.rows(&query, |row| {
            Ok(AuditEntry {
                number: row.get(0)?,
                at: Moment(row.get(1)?),
                who: row.get(2)?,
                what: row.get(3)?,
                reason: row.get(4)?,
                digest: Digest(row.get(5)?),
            })
        })
    }

    fn rows<T>(&self, query: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>, StoreError> {
        let failed = |why: rusqlite::Error| error(&self.file, "reading who takes part", &why);
        let mut statement = self.connection.prepare(query).map_err(failed)?;
        let rows = statement.query_map([], read).map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }
}

fn write(transaction: &Transaction<'_>, change: &Change, entry: Option<&AuditEntry>) -> rusqlite::Result<()> {
    for outlived in &change.outlived {
        match outlived {
            Outlived::Certificate(serial) => {
                transaction.execute("DELETE FROM certificates WHERE serial = ?1", [serial.0])?;
            }
            Outlived::Invitation(id) => {
                transaction.execute("DELETE FROM redemptions WHERE invitation = ?1", [id.0])?;
                transaction.execute("DELETE FROM invitations WHERE invitation = ?1", [id.0])?;
            }
        }
    }
    change.records.iter().try_for_each(|record| write_record(transaction, record))?;
    if let Some(AuditEntry { number, at, who, what, reason, digest }) = entry {
        transaction.execute(&append("audit"), params![number, at.0, who, what, reason, digest.0])?;
    }
    Ok(())
}

fn write_record(transaction: &Transaction<'_>, record: &Record) -> rusqlite::Result<()> {
    let seconds = |moment: Option<Moment>| moment.map(|Moment(seconds)| seconds);
    match record {
        Record::Authority(Authority { id, trust, since }) => {
            transaction.execute(&insert("authorities"), params![id.0, trust.word(), since.0])
        }
        Record::Holder(HolderRecord { holder, state, reason, max_workers, joined, seen }) => {
            let (role, name) = role_and_name(holder);
            let values = params![role, name, state.word(), reason, max_workers, seconds(*joined), seconds(*seen)];
            transaction.execute(&insert("holders"), values)
        }
        Record::Invitation(Invitation { id, secret, holder, expires, uses, admission, validity }) => {
            let (role, name) = role_and_name(holder);
            let (admission, validity) = (admission_word(*admission), validity_word(*validity));
            let values = params![id.0, secret.0.0, role, name, expires.0, uses, admission, validity];
            transaction.execute(&insert("invitations"), values)
        }
        Record::Redemption(Redemption { invitation, key, principal }) => {
            transaction.execute(&insert("redemptions"), params![invitation.0, key.0, principal.to_string()])
        }
        Record::Certificate(Certificate { serial, principal, key, authority, not_after, validity }) => {
            let validity = validity_word(*validity);
            let values = params![serial.0, principal.to_string(), key.0, authority.0, not_after.0, validity];
            transaction.execute(&insert("certificates"), values)
        }
    }
    .map(drop)
}

fn role_and_name(holder: &Holder) -> (&'static str, &str) {
    match holder {
        Holder::Partner(name) => ("partner", name.as_str()),
        Holder::Operator(name) => ("operator", name.as_str()),
        Holder::Client(name) => ("client", name.as_str()),
    }
}

fn admission_word(admission: Admission) -> &'static str {
    match admission {
        Admission::AtOnce => "at-once",
        Admission::OnApproval => "on-approval",
    }
}

fn validity_word(validity: Validity) -> &'static str {
    match validity {
        Validity::Good => "good",
        Validity::Ended => "ended",
    }
}

/// A text of a row as what it stands for.
fn parsed<T>(row: &Row<'_>, column: usize, parse: impl FnOnce(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    let foreign = || {
        let why = format!("{text:?} is not what this release writes there");
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, why.into())
    };
    parse(&text).ok_or_else(foreign)
}

/// The holder in the first two columns.
fn holder(row: &Row<'_>) -> rusqlite::Result<Holder> {
    let role: String = row.get(0)?;
    parsed(row, 1, |name| match role.as_str() {
        "partner" => PartnerName::parse(name).ok().map(Holder::Partner),
        "operator" => HolderName::parse(name).ok().map(Holder::Operator),
        "client" => HolderName::parse(name).ok().map(Holder::Client),
        _ => None,
    })
}

fn principal(row: &Row<'_>, column: usize) -> rusqlite::Result<Principal> {
    parsed(row, column, |text| Principal::parse(text).ok())
}

fn validity(row: &Row<'_>, column: usize) -> rusqlite::Result<Validity> {
    parsed(row, column, |text| {
        [Validity::Good, Validity::Ended].into_iter().find(|found| validity_word(*found) == text)
    })
}

fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Moment> {
    row.get(column).map(Moment)
}

fn optional<T: FromSql>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    row.get(column)
}

fn authority(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record::Authority(Authority {
        id: AuthorityId(row.get(0)?),
        trust: parsed(row, 1, |text| Trust::ALL.into_iter().find(|trust| trust.word() == text))?,
        since: moment(row, 2)?,
    }))
}

fn holder_record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record::Holder(HolderRecord {
        holder: holder(row)?,
        state: parsed(row, 2, |text| State::ALL.into_iter().find(|state| state.word() == text))?,
        reason: row.get(3)?,
        max_workers: optional(row, 4)?,
        joined: optional(row, 5)?.map(Moment),
        seen: optional(row, 6)?.map(Moment),
    }))
}

fn invitation(row: &Row<'_>) -> rusqlite::Result<Record> {
    let admissions = [Admission::AtOnce, Admission::OnApproval];
    Ok(Record::Invitation(Invitation {
        holder: holder(row)?,
        id: InvitationId(row.get(2)?),
        secret: SecretDigest(Digest(row.get(3)?)),
        expires: moment(row, 4)?,
        uses: row.get(5)?,
        admission: parsed(row, 6, |text| admissions.into_iter().find(|found| admission_word(*found) == text))?,
        validity: validity(row, 7)?,
    }))
}

fn redemption(row: &Row<'_>) -> rusqlite::Result<Record> {
    let (invitation, key) = (InvitationId(row.get(0)?), KeyId(row.get(1)?));
    Ok(Record::Redemption(Redemption { invitation, key, principal: principal(row, 2)? }))
}

fn certificate(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record::Certificate(Certificate {
        serial: Serial(row.get(0)?),
        principal: principal(row, 1)?,
        key: KeyId(row.get(2)?),
        authority: AuthorityId(row.get(3)?),
        not_after: moment(row, 4)?,
        validity: validity(row, 5)?,
    }))
}
