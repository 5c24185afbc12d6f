//! Cuts by label.

use super::{Cut, Draw, draw, drawn};
use crate::plan::{PlanError, even_bounds};

/// The indices of each class, in order; one list for each value a label can have.
fn by_class(labels: &[u8]) -> Vec<Vec<u32>> {
    let mut classes = vec![Vec::new(); usize::from(u8::MAX) + 1];
    for (index, &label) in labels.iter().enumerate() {
        classes[usize::from(label)].push(index as u32);
    }
    classes
}

/// Sorted by label, cut into pieces, and so many pieces drawn for each unit.
pub(super) fn shards(seed: u64, labels: &[u8], units: u32, shards_per_unit: u32) -> Result<Cut, PlanError> {
    let (samples, pieces) = (labels.len() as u32, u64::from(units) * u64::from(shards_per_unit));
    let too_few = PlanError::TooFewForPieces { samples, pieces };
    let Some(pieces) = u32::try_from(pieces).ok().filter(|&pieces| pieces <= samples) else { return Err(too_few) };
    let sorted = by_class(labels).concat();
    let bounds = even_bounds(samples, pieces);
    let mut order: Vec<u32> = (0..pieces).collect();
    drawn(seed, Draw::Pieces, 0).shuffle(&mut order);
    let piece = |&piece: &u32| &sorted[bounds[piece as usize] as usize..bounds[piece as usize + 1] as usize];
    let units = order.chunks(shards_per_unit as usize);
    Ok(Cut::of_shards(units.map(|pieces| pieces.iter().flat_map(piece).copied().collect()).collect()))
}

/// What a unit would have, if all classes had enough.
struct Taste {
    /// Logarithms of the parts of each class, up to a constant.
    logs: Vec<f64>,
    /// Parts of the classes that are left.
    parts: Vec<f64>,
    /// Classes that were left when the parts were computed.
    left: usize,
}

/// Hsu et al. 2019: unit u has a mixture of classes of its own, drawn from Dirichlet(α · p) with p that of all samples.
///
/// Samples are dealt one to a unit in turn, so that it is not the last units alone that get what is left of classes
/// that run out; a class that has run out leaves its part to the others.
pub(super) fn dirichlet(seed: u64, labels: &[u8], units: u32, alpha: f64) -> Cut {
    let mut classes = by_class(labels);
    classes.retain(|class| !class.is_empty());
    for (class, indices) in classes.iter_mut().enumerate() {
        drawn(seed, Draw::ClassOrder, class as u32).shuffle(indices);
    }
    let samples = labels.len() as f64;
    let concentrations: Vec<f64> = classes.iter().map(|class| alpha * (class.len() as f64 / samples)).collect();
    let taste = |unit| {
        let logs = draw::ln_dirichlet(&mut drawn(seed, Draw::Tastes, unit), concentrations.iter().copied());
        Taste { logs, parts: Vec::new(), left: usize::MAX }
    };
    let mut tastes: Vec<Taste> = (0..units).map(taste).collect();
    let mut streams: Vec<_> = (0..units).map(|unit| drawn(seed, Draw::Deal, unit)).collect();
    let mut shards = vec![Vec::new(); units as usize];
    let sizes: Vec<usize> =
        even_bounds(labels.len() as u32, units).windows(2).map(|pair| (pair[1] - pair[0]) as usize).collect();
    let mut left = classes.len();
    while left > 0 {
        for unit in 0..units as usize {
            if shards[unit].len() == sizes[unit] {
                continue;
            }
            let class = tastes[unit].pick(streams[unit].open_f64(), &classes, left);
            shards[unit].extend(classes[class].pop());
            left -= usize::from(classes[class].is_empty());
        }
    }
    Cut::of_shards(shards)
}

impl Taste {
    /// The class at `place`, 0 to 1, of the classes that are left.
    fn pick(&mut self, place: f64, classes: &[Vec<u32>], left: usize) -> usize {
        if self.left != left {
            let gone = |(log, class): (&f64, &Vec<u32>)| if class.is_empty() { f64::NEG_INFINITY } else { *log };
            self.parts = draw::relative(&self.logs.iter().zip(classes).map(gone).collect::<Vec<_>>());
            self.left = left;
        }
        let total: f64 = self.parts.iter().sum();
        let mut sum = 0.0;
        let reached = self.parts.iter().position(|part| {
            sum += part;
            sum > place * total
        });
        // The product may round up to the total.
        let last = || self.parts.iter().rposition(|&part| part > 0.0);
        reached.or_else(last).expect("the largest part is 1")
    }
}
