//! `worker inspect`: everything that left the machine.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use syngrad_worker::{Filter, Inspection, Record, Sent, UpdateRecord, inspect};

use super::folder;
use crate::args::InspectArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::table::{facts, rows, thousands};

/// Records shown to people who do not say how many.
const LAST: usize = 20;

#[derive(Serialize)]
struct Shown {
    folder: String,
    #[serde(flatten)]
    journal: Inspection,
    /// Records that are wanted and kept, and not shown.
    left_out: usize,
}

pub(super) fn run(args: &InspectArgs, output: Output) -> Result<Exit, Failure> {
    let folder = folder(&args.at)?;
    let mut journal = inspect(&folder, &Filter { run: args.run.clone(), round: args.round })?;
    let is_narrow = args.run.is_some() || args.round.is_some() || output.is_for_programs();
    let last = args.last.unwrap_or(if is_narrow { usize::MAX } else { LAST });
    let left_out = journal.records.len().saturating_sub(last);
    journal.records.drain(..left_out);
    output.result(&Shown { folder: folder.display().to_string(), journal, left_out });
    Ok(Exit::Ok)
}

impl Report for Shown {
    fn text(&self) -> String {
        let Inspection { since, totals, dropped, unreadable, records } = &self.journal;
        let mut text = facts(&[
            ("journal", self.folder.clone()),
            ("since", moment(*since)),
            ("messages", thousands(totals.values().map(|total| total.messages).sum())),
            ("bytes", thousands(totals.values().map(|total| total.bytes).sum())),
        ]);
        if *dropped > 0 {
            let dropped = thousands(*dropped);
            let _ = writeln!(text, "the files are bounded: the first {dropped} messages are in the totals only");
        }
        if *unreadable > 0 {
            let _ = writeln!(text, "lines cut by a crash: {unreadable}");
        }
        text.push('\n');
        text.push_str(&rows(
            ["message", "count", "bytes"],
            &["count", "bytes"],
            totals.iter().map(|(kind, total)| [kind.clone(), thousands(total.messages), thousands(total.bytes)]),
        ));
        if records.is_empty() {
            return text;
        }
        text.push('\n');
        if self.left_out > 0 {
            let _ = writeln!(text, "{} earlier messages are kept and not shown; --last shows more", self.left_out);
        }
        text.push_str(&rows(["time (UTC)", "message", "bytes", "what"], &["bytes"], records.iter().map(row)));
        text
    }
}

fn row(record: &Record) -> [String; 4] {
    [moment(record.at), record.kind().to_owned(), thousands(record.bytes), what(&record.sent)]
}

fn what(sent: &Sent) -> String {
    let short = |id: &str| id.chars().take(8).collect::<String>();
    match sent {
        Sent::Hello { partner, worker, .. } => format!("partner {partner}, worker {worker}"),
        Sent::Ready { run, data, .. } => {
            let data = data.as_ref().map_or_else(String::new, |data| format!(", samples known as {}", short(data)));
            format!("for run {run}{data}")
        }
        Sent::Declined { run, why } => format!("run {run}: {why}"),
        Sent::Update(update) => update_text(update),
        Sent::Frame { run, round, .. } => format!("payload of round {round} of run {}", short(run)),
        Sent::Heartbeat {} => String::new(),
        Sent::Leave { why } => why.clone(),
        Sent::FetchShard { shard, .. } => format!("asks for shard {}", short(shard)),
        Sent::GetHead { size, .. } => format!("asks for the proof that the log only grew, to {size} records"),
    }
}

fn update_text(update: &UpdateRecord) -> String {
    let UpdateRecord { run, round, payload_bytes, digest, tensors, units, .. } = update;
    let short = |id: &str| id.chars().take(8).collect::<String>();
    let most = |norm: fn(&syngrad_worker::UnitNorm) -> f64| units.iter().map(norm).fold(0.0, f64::max);
    let (before, after) = (most(|unit| unit.norm), most(|unit| unit.clipped));
    let norm = if before == after { format!("{before:.4}") } else { format!("{before:.4}, clipped to {after:.4}") };
    let (count, bytes, run, digest) = (units.len(), thousands(*payload_bytes), short(run), short(digest));
    format!(
        "round {round} of run {run}: {count} units in {tensors} tensors, largest norm {norm}; {bytes} bytes follow, digest \
         {digest}"
    )
}

/// A moment as `2026-11-24 20:05:07`, by UTC.
fn moment(millis: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(millis);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.replace('T', " ").trim_end_matches('Z').to_owned()
}
