//! Cuts by who wrote a sample.

use std::collections::BTreeMap;

use super::{Cut, Draw, Origin, drawn};
use crate::plan::PlanError;

/// The samples of each writer.
type Writers = Vec<Vec<u32>>;

fn writers(origins: &[Origin]) -> BTreeMap<u32, BTreeMap<u32, Vec<u32>>> {
    let mut groups: BTreeMap<u32, BTreeMap<u32, Vec<u32>>> = BTreeMap::new();
    for (index, origin) in origins.iter().enumerate() {
        groups.entry(origin.group).or_default().entry(origin.writer).or_default().push(index as u32);
    }
    groups
}

/// Whole groups to units, in the order of groups and in proportion to their samples; within a group by writer.
pub(super) fn by_group(seed: u64, origins: &[Origin], units: u32) -> Result<Cut, PlanError> {
    let groups: Vec<(u32, Writers)> =
        writers(origins).into_iter().map(|(group, writers)| (group, writers.into_values().collect())).collect();
    let shares = shares(&groups, units)?;
    let dealt = groups.into_iter().zip(shares).map(|((group, writers), share)| deal(seed, group, writers, share));
    Ok(Cut::of_shards(dealt.flatten().collect()))
}

/// Whole writers to units, whatever their group.
pub(super) fn by_writer(seed: u64, origins: &[Origin], units: u32) -> Result<Cut, PlanError> {
    let writers: Writers = writers(origins).into_values().flat_map(BTreeMap::into_values).collect();
    match writers.len() < units as usize {
        true => Err(PlanError::TooFewWriters { writers: writers.len() as u32, units }),
        false => Ok(Cut::of_shards(deal(seed, 0, writers, units as usize))),
    }
}

/// Units of each group: one, and then each further one to the group with the most samples for a unit (D'Hondt), as long
/// as it has a writer for it.
fn shares(groups: &[(u32, Writers)], units: u32) -> Result<Vec<usize>, PlanError> {
    if groups.len() > units as usize {
        return Err(PlanError::TooFewUnits { groups: groups.len() as u32 });
    }
    let samples: Vec<usize> = groups.iter().map(|(_, writers)| writers.iter().map(Vec::len).sum()).collect();
    let mut shares = vec![1; groups.len()];
    for _ in groups.len()..units as usize {
        let able = (0..groups.len()).filter(|&group| shares[group] < groups[group].1.len());
        // a / (m + 1) > b / (n + 1) without a division; of equals the first.
        let first = able.reduce(|best, next| {
            let more = samples[next] * (shares[best] + 1) > samples[best] * (shares[next] + 1);
            if more { next } else { best }
        });
        let Some(first) = first else {
            let writers = groups.iter().map(|(_, writers)| writers.len() as u32).sum();
            return Err(PlanError::TooFewWriters { writers, units });
        };
        shares[first] += 1;
    }
    Ok(shares)
}

/// Deals writers in a seeded order, each to the unit that has the fewest samples by then. There are as many writers as
/// units, so each unit gets one. The samples of a unit are in the order of the dataset.
fn deal(seed: u64, group: u32, mut writers: Writers, units: usize) -> Vec<Vec<u32>> {
    drawn(seed, Draw::WriterOrder, group).shuffle(&mut writers);
    let mut shards: Vec<Vec<u32>> = vec![Vec::new(); units];
    for writer in writers {
        let fewest = (0..units).min_by_key(|&unit| shards[unit].len()).expect("a group has a unit");
        shards[fewest].extend(writer);
    }
    shards.iter_mut().for_each(|shard| shard.sort_unstable());
    shards
}
