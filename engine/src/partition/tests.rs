use proptest::prelude::*;

use super::*;
use crate::digest::{Digest, Domain};

fn cut(partition: Partition, units: u32, seed: u64, population: Population<'_>) -> Result<Cut, PlanError> {
    Cut::new(&partition, seed, units, population)
}

/// Labels and origins of so many samples: ten classes, two institutions, and writers of about twenty samples each.
fn people(samples: u32) -> (Vec<u8>, Vec<Origin>) {
    let mut stream = Stream::new(4, Purpose::Samples, &[]);
    let labels = (0..samples).map(|_| stream.below(10) as u8).collect();
    let mut origin = |_| {
        let writer = stream.below(u64::from(samples / 20 + 2)) as u32;
        Origin { group: if writer.is_multiple_of(3) { 4 } else { 0 }, writer }
    };
    let origins = (0..samples).map(&mut origin).collect();
    (labels, origins)
}

const ALL: [Partition; 8] = [
    Partition::Iid {},
    Partition::Contiguous {},
    Partition::Shards { shards_per_unit: 2 },
    Partition::Dirichlet { alpha: 0.1 },
    Partition::Quantity { alpha: 0.5 },
    Partition::Parity {},
    Partition::Institution {},
    Partition::Writer {},
];

/// Classes, of ten, that shard `unit` has so many samples of.
fn histogram(cut: &Cut, unit: u32, labels: &[u8]) -> [u32; 10] {
    let mut counts = [0; 10];
    cut.shard(Unit(unit)).iter().for_each(|&index| counts[usize::from(labels[index as usize])] += 1);
    counts
}

proptest! {
    #[test]
    fn every_sample_is_in_one_shard_and_no_shard_is_empty(
        samples in 300u32..900, units in 2u32..12, seed in any::<u64>(), kind in 0..ALL.len(), alpha in 1e-3..1e3f64,
    ) {
        let (labels, origins) = people(samples);
        let drawn = [Partition::Dirichlet { alpha }, Partition::Quantity { alpha }];
        let partition = drawn.into_iter().find(|drawn| drawn.name() == ALL[kind].name()).unwrap_or(ALL[kind]);
        let population = Population { labels: &labels, origins: &origins };
        let found = cut(partition, units, seed, population).expect("there are enough of all");
        let mut all: Vec<u32> = (0..units).flat_map(|unit| found.shard(Unit(unit)).to_vec()).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..samples).collect::<Vec<_>>());
        prop_assert_eq!(found.sizes().len(), units as usize);
        prop_assert!(found.sizes().iter().all(|&size| size > 0), "{:?}", found.sizes());
        prop_assert_eq!(&cut(partition, units, seed, population).expect("as before"), &found);
    }
}

/// The bits of a run depend on its cut: none of these digests may ever change.
#[test]
fn cuts_are_the_same_on_every_machine_and_in_every_release() {
    let (labels, origins) = people(1000);
    let population = Population { labels: &labels, origins: &origins };
    let digest = |partition: &Partition| {
        let cut = cut(*partition, 5, 7, population).expect("there are enough of all");
        let words: Vec<u8> = cut.order.iter().chain(&cut.bounds).flat_map(|word| word.to_le_bytes()).collect();
        format!("{} {}", partition.name(), Digest::of(Domain::Shard, &words).short())
    };
    let found: Vec<String> = ALL.iter().map(digest).collect();
    let golden = [
        "iid 4e07cf78",
        "contiguous fcdfd40f",
        "shards da48359f",
        "dirichlet 377ce975",
        "quantity 38f55fe6",
        "parity 4e58162d",
        "institution 4e58162d",
        "writer a8672b06",
    ];
    assert_eq!(found, golden);
}

#[test]
fn an_even_cut_is_the_one_that_runs_had_before_there_were_others() {
    let (labels, _) = people(100);
    let found = cut(Partition::Iid {}, 7, 7, Population { labels: &labels, origins: &[] }).expect("an even cut");
    let mut order: Vec<u32> = (0..100).collect();
    Stream::new(7, Purpose::Shards, &[]).shuffle(&mut order);
    assert_eq!(found.order, order);
    assert_eq!(found.bounds, [0, 14, 28, 42, 57, 71, 85, 100]);
}

#[test]
fn shards_of_labels_leave_a_unit_few_classes() {
    let (labels, _) = people(1000);
    let population = Population { labels: &labels, origins: &[] };
    let found = cut(Partition::Shards { shards_per_unit: 2 }, 10, 1, population).expect("enough samples");
    assert_eq!(found.sizes(), [100; 10]);
    for unit in 0..10 {
        // A piece of 50 samples touches two classes of about 100 each at most.
        let classes = histogram(&found, unit, &labels).iter().filter(|&&count| count > 0).count();
        assert!(classes <= 4, "unit {unit} has {classes} classes");
    }
}

#[test]
fn the_concentration_says_how_skewed_the_classes_are() {
    let (labels, _) = people(5000);
    let largest_class = |alpha: f64| {
        let population = Population { labels: &labels, origins: &[] };
        let found = cut(Partition::Dirichlet { alpha }, 10, 3, population).expect("enough samples");
        assert_eq!(found.sizes(), [500; 10]);
        let parts = (0..10).map(|unit| histogram(&found, unit, &labels).into_iter().max().unwrap_or(0));
        f64::from(parts.sum::<u32>()) / 5000.0
    };
    let (skewed, mild, even) = (largest_class(0.1), largest_class(10.0), largest_class(1e6));
    assert!(skewed > 0.6 && skewed > mild && mild > even && even < 0.16, "{skewed} {mild} {even}");
}

#[test]
fn the_concentration_says_how_different_sizes_are() {
    let (labels, _) = people(10_000);
    let largest = |alpha: f64| {
        let population = Population { labels: &labels, origins: &[] };
        let found = cut(Partition::Quantity { alpha }, 10, 3, population).expect("enough samples");
        found.sizes().into_iter().max().expect("there are units")
    };
    assert!(largest(0.1) > 3_000 && largest(1e6) < 1_010, "{} {}", largest(0.1), largest(1e6));
}

#[test]
fn institutions_and_writers_stay_whole() {
    let (labels, origins) = people(2000);
    let population = Population { labels: &labels, origins: &origins };
    for units in [2, 3, 9] {
        let found = cut(Partition::Institution {}, units, 5, population).expect("enough writers");
        let group = |unit| {
            let groups = found.shard(Unit(unit)).iter().map(|&index| origins[index as usize].group);
            let groups: std::collections::BTreeSet<u32> = groups.collect();
            assert_eq!(groups.len(), 1, "unit {unit} of {units} has samples of {groups:?}");
            groups.first().copied()
        };
        assert_eq!((group(0), group(units - 1)), (Some(0), Some(4)));
        // A third of the samples are of group 4, and so are its units, within one.
        let fours = (0..units).filter(|&unit| group(unit) == Some(4)).count() as u32;
        assert!((units / 3..=units / 3 + 1).contains(&fours), "{fours} of {units}");
    }
    for partition in [Partition::Institution {}, Partition::Writer {}] {
        let found = cut(partition, 9, 5, population).expect("enough writers");
        let mut homes = std::collections::BTreeMap::new();
        for unit in 0..9 {
            for &index in found.shard(Unit(unit)) {
                let writer = origins[index as usize].writer;
                assert_eq!(*homes.entry(writer).or_insert(unit), unit, "writer {writer} is in two units");
            }
        }
        let sizes = found.sizes();
        assert!(sizes.iter().all(|size| (150..300).contains(size)), "{sizes:?}");
    }
}

#[test]
fn what_cannot_be_cut_is_refused_with_its_reason() {
    let (labels, origins) = people(40);
    let population = Population { labels: &labels, origins: &origins };
    let refused = |partition, units, population| cut(partition, units, 1, population).expect_err("it cannot be cut");
    assert_eq!(refused(Partition::Iid {}, 41, population), PlanError::TooFewSamples { samples: 40, units: 41 });
    let pieces = Partition::Shards { shards_per_unit: 9 };
    assert_eq!(refused(pieces, 5, population), PlanError::TooFewForPieces { samples: 40, pieces: 45 });
    assert_eq!(refused(Partition::Institution {}, 1, population), PlanError::TooFewUnits { groups: 2 });
    assert_eq!(refused(Partition::Institution {}, 5, population), PlanError::TooFewWriters { writers: 4, units: 5 });
    assert_eq!(refused(Partition::Writer {}, 5, population), PlanError::TooFewWriters { writers: 4, units: 5 });
    let nobody = Population { labels: &labels, origins: &[] };
    assert_eq!(refused(Partition::Writer {}, 2, nobody), PlanError::UnknownOrigins { known: 0, samples: 40 });
}
