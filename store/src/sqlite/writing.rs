//! What a transaction writes.

use rusqlite::{OptionalExtension as _, Transaction, params};
use syngrad_engine::RunId;
use syngrad_engine::keeping::{CHECKPOINTS, Epoch};
use syngrad_engine::run::{AuditCounters, Caught, Counters, Participation};
use syngrad_engine::state::Commit;

use super::receipts;
use super::schema::insert;
use crate::{
    CheckpointRow, Ending, Entry, Holding, Point, Progress, Report, RoundRow, RoundTimes, RunRow, SpoolRow, Traffic,
    Version,
};

/// Writes an entry; the number of the version in it.
pub(super) fn write(
    transaction: &Transaction<'_>,
    run: RunId,
    entry: &Entry,
    epoch: Epoch,
) -> rusqlite::Result<Option<u64>> {
    let Entry { begun, rounds, progress, evaluations, version, holdings, spooled, checkpoint, ending, .. } = entry;
    if let Some(RunRow { run, name, spec, spec_digest }) = begun {
        // It is there already if the order is tried again because the log could not be emptied after it.
        let begin = "INSERT OR IGNORE INTO runs (run, name, spec, spec_digest) VALUES (?1, ?2, ?3, ?4)";
        transaction.execute(begin, params![run.0, name, spec, spec_digest.0])?;
        seal_run(transaction, *run)?;
    }
    write_rounds(transaction, run, rounds, epoch)?;
    if let Some(progress) = progress {
        write_progress(transaction, run, progress)?;
    }
    let mut add = transaction.prepare_cached(&insert("evaluations"))?;
    for Point { round, accuracy, loss, at } in evaluations {
        add.execute(params![run.0, round.0, accuracy, loss, at.as_secs_f64()])?;
    }
    let number = version.map(|version| number(transaction, run, version)).transpose()?;
    let mut add = transaction.prepare_cached(&insert("holdings"))?;
    for Holding { partner, data } in holdings {
        add.execute(params![run.0, partner.as_str(), data.0])?;
    }
    if let Some(SpoolRow { round, unit, blob, report, contribution }) = spooled {
        let Report { saturated, loss: (loss_sum, samples) } = report;
        let mut add = transaction.prepare_cached(&insert("spool"))?;
        let row = params![run.0, round.0, unit.0, blob.0, saturated, loss_sum, samples, epoch.0, contribution];
        add.execute(row)?;
    }
    receipts::write(transaction, run, entry)?;
    if let Some(checkpoint) = checkpoint {
        write_checkpoint(transaction, run, checkpoint, epoch)?;
    }
    if let Some(Ending { phase, reason }) = ending {
        transaction.execute("DELETE FROM spool WHERE run = ?1", [run.0])?;
        let end = "UPDATE runs SET phase = ?2, reason = ?3 WHERE run = ?1";
        transaction.execute(end, params![run.0, phase.word(), reason])?;
        seal_run(transaction, run)?;
    }
    Ok(number)
}

fn seal_run(transaction: &Transaction<'_>, run: RunId) -> rusqlite::Result<()> {
    let seal = "UPDATE runs SET seal = seal_of('runs', run, name, spec, spec_digest, began, phase, reason)
                WHERE run = ?1";
    transaction.execute(seal, [run.0]).map(drop)
}

/// A round that is computed again after a crash has the same bits, or the run has stopped before this.
fn write_rounds(transaction: &Transaction<'_>, run: RunId, rounds: &[RoundRow], epoch: Epoch) -> rusqlite::Result<()> {
    let mut add = transaction.prepare_cached(&insert("rounds"))?;
    for RoundRow { commit, took } in rounds {
        let Commit { round, params_digest, chain, units, weight, saturated } = commit;
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).min(i64::MAX as u64);
        add.execute(params![run.0, round.0, params_digest.0, chain.0, units, weight, saturated, epoch.0, micros])?;
    }
    Ok(())
}

fn write_progress(transaction: &Transaction<'_>, run: RunId, progress: &Progress) -> rusqlite::Result<()> {
    let Progress { train_samples, committed, params, chain, loss, train_time, foreign_numerics, .. } = progress;
    let Counters { accepted, units_released, duplicates, late, rejected, joins, leaves, audits } = progress.counters;
    let Traffic { saturated, params_bytes_sent, update_bytes_received, shard_bytes_sent } = progress.traffic;
    let RoundTimes { p50_ms, p99_ms, max_ms } = progress.round_times;
    let confusion: Vec<u8> = progress.confusion.iter().flat_map(|count| count.to_le_bytes()).collect();
    let mut add = transaction.prepare_cached(&insert("participation"))?;
    for (partner, Participation { used, late, missing }) in &progress.participation {
        add.execute(params![run.0, partner.as_str(), used, late, missing])?;
    }
    write_audits(transaction, run, audits, &progress.caught)?;
    let mut add = transaction.prepare_cached(&insert("progress"))?;
    add.execute(params![
        run.0,
        train_samples,
        committed,
        params.0,
        chain.0,
        loss,
        train_time.as_secs_f64(),
        accepted,
        units_released,
        duplicates,
        late,
        rejected,
        joins,
        leaves,
        saturated,
        params_bytes_sent,
        update_bytes_received,
        shard_bytes_sent,
        foreign_numerics,
        p50_ms,
        p99_ms,
        max_ms,
        confusion,
    ])
    .map(drop)
}

fn write_audits(
    transaction: &Transaction<'_>,
    run: RunId,
    audits: AuditCounters,
    caught: &[Caught],
) -> rusqlite::Result<()> {
    let AuditCounters { made, passed, failed, lapsed } = audits;
    // Most runs have none.
    if made > 0 {
        transaction.prepare_cached(&insert("run_audits"))?.execute(params![run.0, made, passed, failed, lapsed])?;
    }
    for Caught { partner, worker, round, units } in caught {
        let units: Vec<u8> = units.iter().flat_map(|unit| unit.0.to_le_bytes()).collect();
        let mut add = transaction.prepare_cached(&insert("caught"))?;
        add.execute(params![run.0, partner.as_str(), worker.0, round.0, units])?;
    }
    Ok(())
}

/// The number that these params of the run have, or the next that none has had.
fn number(transaction: &Transaction<'_>, run: RunId, version: Version) -> rusqlite::Result<u64> {
    let Version { round, params } = version;
    let known = "SELECT version FROM versions WHERE run = ?1 AND round = ?2 AND params = ?3";
    let known = transaction.query_row(known, params![run.0, round.0, params.0], |row| row.get(0)).optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    let next = "SELECT coalesce(max(version), 0) + 1 FROM versions";
    let next: u64 = transaction.query_row(next, [], |row| row.get(0))?;
    transaction.prepare_cached(&insert("versions"))?.execute(params![next, run.0, round.0, params.0])?;
    Ok(next)
}

fn write_checkpoint(
    transaction: &Transaction<'_>,
    run: RunId,
    checkpoint: &CheckpointRow,
    epoch: Epoch,
) -> rusqlite::Result<()> {
    let CheckpointRow { round, blob } = checkpoint;
    transaction.prepare_cached(&insert("checkpoints"))?.execute(params![run.0, round.0, blob.0, epoch.0])?;
    let forget = "DELETE FROM checkpoints WHERE run = ?1 AND round NOT IN
                  (SELECT round FROM checkpoints WHERE run = ?1 ORDER BY round DESC LIMIT ?2)";
    transaction.execute(forget, params![run.0, CHECKPOINTS])?;
    let forget = "DELETE FROM spool WHERE run = ?1 AND round < (SELECT min(round) FROM checkpoints WHERE run = ?1)";
    transaction.execute(forget, [run.0]).map(drop)
}
