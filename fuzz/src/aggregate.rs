//! Sums of payloads that may be anything: what was taken adds up exactly, and what was refused leaves no trace.

use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use syngrad_engine::aggregate::{Aggregate, Tally};
use syngrad_engine::layout::{Layout, Tensor};
use syngrad_engine::quantize::{Grid, limit};
use syngrad_engine::spec::UpdateBits;
use syngrad_engine::{Unit, Units};

/// The most operations of an input.
const MOST: usize = 64;

/// Reads a grid and payloads, adds, takes back and merges, and compares with sums in i64.
pub fn check(data: &[u8]) {
    // Bytes that are no whole input are no input.
    let _ = attempt(&mut Unstructured::new(data));
}

/// What was added, and is still in.
#[derive(Clone)]
struct Update {
    packed: Vec<u8>,
    tally: Tally,
}

fn attempt(input: &mut Unstructured<'_>) -> Result<()> {
    let sizes: [usize; 2] = [input.int_in_range(1..=33)?, input.int_in_range(1..=3)?];
    let tensor = |(name, size): (&str, usize)| Tensor { name: name.into(), shape: [size].into() };
    let layout = Arc::new(Layout::new(["a", "b"].into_iter().zip(sizes).map(tensor).collect()).expect("a layout"));
    let bits = *input.choose(&[UpdateBits::Eight, UpdateBits::Sixteen, UpdateBits::ThirtyTwo])?;
    let units = input.int_in_range(1..=200)?;
    let Some(limit) = limit(bits, units) else { return Ok(()) };
    let exponents = vec![input.int_in_range(-40..=40)?, input.int_in_range(-40..=40)?];
    let Ok(grid) = Grid::validated(bits, limit, exponents, &layout) else { return Ok(()) };
    let (mut aggregate, mut taken) = (Aggregate::new(layout.clone(), &grid), Vec::<Update>::new());
    for _ in 0..MOST {
        if input.is_empty() {
            break;
        }
        let before = aggregate.clone();
        match input.int_in_range(0..=4)? {
            0 if !taken.is_empty() => {
                let update = taken.swap_remove(input.choose_index(taken.len())?);
                aggregate.subtract(&update.packed, &update.tally).expect("what was added can be taken back");
            }
            1 => {
                let update = update(input, bits, layout.params(), limit)?;
                let mut other = Aggregate::new(layout.clone(), &grid);
                if other.add(&update.packed, &update.tally).is_ok() {
                    match aggregate.merge(&other) {
                        Ok(()) => taken.push(update),
                        Err(_) => assert_eq!(aggregate, before, "a refusal leaves no trace"),
                    }
                }
            }
            2 => {
                let update = update(input, bits, layout.params(), limit)?;
                if !update.tally.units.is_subset(&before.tally().units) {
                    assert!(aggregate.subtract(&update.packed, &update.tally).is_err());
                    assert_eq!(aggregate, before, "a refusal leaves no trace");
                }
            }
            _ => {
                let update = update(input, bits, layout.params(), limit)?;
                match aggregate.add(&update.packed, &update.tally) {
                    Ok(()) => taken.push(update),
                    Err(_) => assert_eq!(aggregate, before, "a refusal leaves no trace"),
                }
            }
        }
        compare(&aggregate, &taken, bits, limit);
    }
    let mut mean = vec![f32::NAN; layout.params()];
    aggregate.mean(&mut mean);
    assert!(taken.is_empty() || mean.iter().all(|value| value.is_finite()));
    Ok(())
}

fn update(input: &mut Unstructured<'_>, bits: UpdateBits, params: usize, limit: i32) -> Result<Update> {
    let units: Units =
        (0..input.int_in_range(0..=3)?).map(|_| Ok(Unit(input.int_in_range(0..=12)?))).collect::<Result<_>>()?;
    let honest = input.ratio(3, 4)?;
    let entries = if input.ratio(1, 10)? { input.int_in_range(0..=40)? } else { params };
    let most = i64::from(limit) * units.len() as i64;
    let mut packed = Vec::with_capacity(entries * bits.bytes());
    for _ in 0..entries {
        let any: i32 = input.arbitrary()?;
        let entry = if honest { i64::from(any).clamp(-most, most) as i32 } else { any };
        packed.extend_from_slice(&entry.to_le_bytes()[..bits.bytes()]);
    }
    let tally = Tally { units, weight: input.int_in_range(1..=1 << 20)?, saturated: input.int_in_range(0..=80)? };
    Ok(Update { packed, tally })
}

/// The aggregate is the sum of what is in, within its width.
fn compare(aggregate: &Aggregate, taken: &[Update], bits: UpdateBits, limit: i32) {
    let mut sums = vec![0_i64; aggregate.sums().len()];
    let mut tally = Tally::default();
    for update in taken {
        for (sum, entry) in sums.iter_mut().zip(update.packed.chunks_exact(bits.bytes())) {
            *sum += match *entry {
                [one] => i64::from(one as i8),
                [one, two] => i64::from(i16::from_le_bytes([one, two])),
                _ => i64::from(i32::from_le_bytes(entry.try_into().expect("four bytes"))),
            };
        }
        assert!(tally.units.is_disjoint(&update.tally.units), "a unit counts once");
        tally.units.extend(&update.tally.units);
        tally.weight += update.tally.weight;
        tally.saturated += update.tally.saturated;
    }
    assert_eq!(*aggregate.tally(), tally);
    assert_eq!(aggregate.sums().iter().map(|&sum| i64::from(sum)).collect::<Vec<_>>(), sums);
    let most = i64::from(limit) * tally.units.len() as i64;
    assert!(sums.iter().all(|sum| sum.abs() <= most), "a sum is more than its units can give");
}

/// Choices that lead everywhere.
pub fn seeds() -> Vec<Vec<u8>> {
    (0..24).map(|number| crate::noise(number, 128 + 64 * number as usize)).collect()
}
