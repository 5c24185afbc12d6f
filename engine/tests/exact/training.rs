//! The training state: rounds committed by any set of workers end in the same params, and survive being written down.

use std::sync::Arc;

use crate::fixture::{layout, values};
use syngrad_engine::aggregate::{Aggregate, Tally};
use syngrad_engine::layout::Layout;
use syngrad_engine::quantize::{Grid, UnitSum};
use syngrad_engine::spec::{
    Algorithm, Archive, Checkpoint, DataSpec, Durability, Evaluation, ModelSpec, Numerics, OptimizerSpec, Partition,
    Quorum, Schedule, UpdateBits,
};
use syngrad_engine::state::{CommitError, DecodeError, StateError, TrainingState};
use syngrad_engine::{Plan, Round, RunSpec, Unit};

const UNITS: u32 = 6;
const SAMPLES: u32 = 400;

fn spec(update_bits: UpdateBits) -> RunSpec {
    RunSpec {
        name: "test".into(),
        seed: 11,
        model: ModelSpec::Noop { params: 337 },
        data: DataSpec::Synthetic { samples: SAMPLES, inputs: 2, classes: 2, partition: Partition::Iid {} },
        algorithm: Algorithm::SyncSgd { epochs: 3, units: UNITS, unit_samples: 8 },
        optimizer: OptimizerSpec::Adam { learning_rate: 0.05, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
        schedule: Schedule::Cosine { final_fraction: 0.1, warmup_rounds: 3 },
        update_bits,
        quorum: Quorum::default(),
        evaluation: Evaluation::default(),
        numerics: Numerics::default(),
        checkpoint: Checkpoint::default(),
        durability: Durability::default(),
        archive: Archive::default(),
    }
}

fn plan(spec: &RunSpec) -> Plan {
    Plan::new(spec, SAMPLES).expect("a plan")
}

fn begin(spec: &RunSpec) -> TrainingState {
    let layout = layout();
    let params = values(Unit(99), layout.params());
    TrainingState::new(spec, &plan(spec), layout, params).expect("a state")
}

/// What `units` compute on the open round: pulled towards zero, with noise of their own.
fn update(spec: &RunSpec, state: &TrainingState, units: &[u32]) -> (Vec<u8>, Tally) {
    let mut sum = UnitSum::new(state.layout().clone());
    sum.begin(spec.seed, state.round(), state.grid());
    for unit in units.iter().copied().map(Unit) {
        let noise = values(Unit(unit.0 + UNITS * state.round().0), state.params().len());
        let gradient: Vec<f32> =
            state.params().iter().zip(noise).map(|(param, noise)| param.clamp(-9.0, 9.0) * 8.0 + noise).collect();
        sum.add(unit, &gradient).expect("finite values");
    }
    let mut packed = Vec::new();
    sum.pack(&mut packed);
    (packed, Tally { units: sum.units().clone(), weight: 8 * units.len() as u64, saturated: sum.saturated() })
}

fn aggregate(spec: &RunSpec, state: &TrainingState, leases: &[&[u32]]) -> Aggregate {
    let mut aggregate = Aggregate::new(state.layout().clone(), state.grid());
    for lease in leases {
        let (packed, tally) = update(spec, state, lease);
        aggregate.add(&packed, &tally).expect("an honest update");
    }
    aggregate
}

fn advance(spec: &RunSpec, state: &mut TrainingState, leases: &[&[u32]]) {
    let aggregate = aggregate(spec, state, leases);
    state.commit(&aggregate).expect("a round of all units");
}

#[test]
fn rounds_end_in_the_same_params_whoever_computed_them() {
    for bits in crate::fixture::WIDTHS {
        let spec = spec(bits);
        let (mut alone, mut together) = (begin(&spec), begin(&spec));
        for _ in 0..20 {
            let whole = aggregate(&spec, &alone, &[&[0, 1, 2, 3, 4, 5]]);
            let parts = aggregate(&spec, &together, &[&[5], &[3, 0], &[1, 4, 2]]);
            assert_eq!(alone.commit(&whole), together.commit(&parts));
        }
        assert_eq!(alone, together);
        assert_eq!(alone.round(), Round(20));
    }
}

#[test]
fn the_first_round_travels_at_32_bits_and_the_others_as_the_spec_says() {
    let spec = spec(UpdateBits::Eight);
    let mut state = begin(&spec);
    assert_eq!((state.grid().bits(), state.grid().limit()), (UpdateBits::ThirtyTwo, 357_913_920));
    advance(&spec, &mut state, &[&[0, 1, 2, 3, 4, 5]]);
    assert_eq!((state.grid().bits(), state.grid().limit()), (UpdateBits::Eight, 21));
}

#[test]
fn params_move_towards_the_minimum_at_every_width() {
    let norm = |params: &[f32]| params.iter().map(|p| f64::from(p * p)).sum::<f64>();
    for bits in crate::fixture::WIDTHS {
        let spec = spec(bits);
        let mut state = begin(&spec);
        let before = norm(state.params());
        (0..25).for_each(|_| advance(&spec, &mut state, &[&[0, 1, 2, 3, 4, 5]]));
        assert!(norm(state.params()) < 0.8 * before, "{bits:?}: {} from {before}", norm(state.params()));
    }
}

#[test]
fn the_chain_tells_histories_apart_that_end_alike() {
    let spec = spec(UpdateBits::ThirtyTwo);
    let (mut full, mut partial) = (begin(&spec), begin(&spec));
    assert_eq!(full.chain(), partial.chain());
    advance(&spec, &mut full, &[&[0, 1, 2, 3, 4, 5]]);
    advance(&spec, &mut partial, &[&[0, 1, 2, 3, 4]]);
    assert_ne!(full.chain(), partial.chain());
    let other = RunSpec { seed: 12, ..spec.clone() };
    assert_ne!(begin(&other).chain(), begin(&spec).chain());
}

#[test]
fn a_round_that_cannot_be_committed_leaves_the_state_as_it_was() {
    let spec = spec(UpdateBits::Sixteen);
    let mut state = begin(&spec);
    let stale = aggregate(&spec, &state, &[&[0, 1]]);
    advance(&spec, &mut state, &[&[0, 1, 2, 3, 4, 5]]);
    let before = state.clone();
    let empty = Aggregate::new(state.layout().clone(), state.grid());
    assert_eq!(state.commit(&empty), Err(CommitError::Empty { round: Round(1) }));
    assert_eq!(state.commit(&stale), Err(CommitError::OtherGrid { round: Round(1) }));
    assert_eq!(state, before);
}

#[test]
fn divergence_is_named() {
    let mut spec = spec(UpdateBits::ThirtyTwo);
    // The decay multiplies every param by -(1e6 - 1) in each round.
    spec.optimizer =
        OptimizerSpec::Adamw { learning_rate: 1e6, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 1.0 };
    spec.schedule = Schedule::Constant {};
    let mut state = begin(&spec);
    let error = (0..10).find_map(|_| {
        let aggregate = aggregate(&spec, &state, &[&[0, 1, 2, 3, 4, 5]]);
        state.commit(&aggregate).err()
    });
    let error = error.expect("f32 has no room for 1e6^10");
    assert!(matches!(&error, CommitError::Diverged { round: Round(5..=7), .. }), "{error}");
}

#[test]
fn impossible_beginnings_are_refused() {
    let layout = layout();
    let spec8 =
        RunSpec { algorithm: Algorithm::SyncSgd { epochs: 1, units: 128, unit_samples: 1 }, ..spec(UpdateBits::Eight) };
    let params = vec![0.0; layout.params()];
    let refusal = |spec: &RunSpec, params: Vec<f32>| {
        TrainingState::new(spec, &plan(spec), layout.clone(), params).expect_err("it is refused")
    };
    assert_eq!(refusal(&spec8, params.clone()), StateError::TooManyUnits { units: 128, bits: 8, most: 127 });
    let spec = spec(UpdateBits::Sixteen);
    assert_eq!(refusal(&spec, vec![0.0; 3]), StateError::WrongLength { found: 3, expected: 337 });
    let mut poisoned = params;
    poisoned[325] = f32::NAN;
    let error = refusal(&spec, poisoned);
    assert!(matches!(&error, StateError::NotFinite { tensor, index: 2, .. } if tensor == "hidden.bias"), "{error}");
}

#[test]
fn a_state_that_was_written_down_goes_on_as_if_nothing_had_happened() {
    for bits in crate::fixture::WIDTHS {
        let spec = spec(bits);
        let mut state = begin(&spec);
        for _ in 0..3 {
            let bytes = state.encode();
            let restored = TrainingState::decode(&spec, &plan(&spec), layout(), &bytes).expect("its own bytes");
            advance(&spec, &mut state, &[&[0, 1, 2, 3, 4, 5]]);
            let mut again = restored;
            advance(&spec, &mut again, &[&[0, 1, 2, 3, 4, 5]]);
            assert_eq!((again.params_digest(), again.chain()), (state.params_digest(), state.chain()));
            assert_eq!(again.encode(), state.encode());
        }
    }
}

#[test]
fn every_server_optimizer_goes_on_from_what_was_written_down() {
    let (beta1, beta2, epsilon, initial_accumulator) = (0.9, 0.99, 1e-3, 1e-6);
    let servers = [
        OptimizerSpec::Sgd { learning_rate: 0.7, momentum: 0.9, nesterov: true },
        OptimizerSpec::Fedadam { learning_rate: 0.05, beta1, beta2, epsilon, initial_accumulator },
        OptimizerSpec::Yogi { learning_rate: 0.05, beta1, beta2, epsilon, initial_accumulator },
        OptimizerSpec::Adagrad { learning_rate: 0.05, epsilon, initial_accumulator },
    ];
    for optimizer in servers {
        let spec = RunSpec { optimizer, ..spec(UpdateBits::Sixteen) };
        let mut state = begin(&spec);
        let before = state.params().clone();
        (0..3).for_each(|_| advance(&spec, &mut state, &[&[0, 1, 2, 3, 4, 5]]));
        let mut again = TrainingState::decode(&spec, &plan(&spec), layout(), &state.encode()).expect("its own bytes");
        (0..3).for_each(|_| advance(&spec, &mut state, &[&[0, 1, 2, 3, 4, 5]]));
        (0..3).for_each(|_| advance(&spec, &mut again, &[&[5], &[3, 0], &[1, 4, 2]]));
        assert_eq!(again, state, "{:?}", spec.optimizer);
        assert_ne!(state.params(), &before, "{:?}", spec.optimizer);
    }
}

#[test]
fn damaged_and_foreign_bytes_are_refused() {
    let spec = spec(UpdateBits::Sixteen);
    let mut state = begin(&spec);
    advance(&spec, &mut state, &[&[0, 1, 2, 3, 4, 5]]);
    let bytes = state.encode();
    let decode = |spec: &RunSpec, layout: Arc<Layout>, bytes: &[u8]| {
        TrainingState::decode(spec, &plan(spec), layout, bytes).expect_err("it is refused")
    };
    for len in 0..bytes.len() {
        let error = decode(&spec, layout(), &bytes[..len]);
        assert!(matches!(error, DecodeError::Truncated { .. }), "{len} bytes: {error}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(decode(&spec, layout(), &longer), DecodeError::Trailing { extra: 1 });
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(decode(&spec, layout(), &with(0, b'X')), DecodeError::Foreign);
    assert_eq!(decode(&spec, layout(), &with(4, 9)), DecodeError::Version { found: 9 });
    assert_eq!(decode(&spec, layout(), &with(41, 0xff)), DecodeError::OtherRun { part: "number of rounds" });
    assert_eq!(decode(&spec, layout(), &with(42, 7)), DecodeError::OtherRun { part: "width" });
    assert_eq!(decode(&spec, layout(), &with(43, 1)), DecodeError::OtherRun { part: "number of units" });
    let eight = RunSpec { update_bits: UpdateBits::Eight, ..spec.clone() };
    assert_eq!(decode(&eight, layout(), &bytes), DecodeError::OtherRun { part: "width" });
    let sgd = OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.0, nesterov: false };
    assert!(matches!(decode(&RunSpec { optimizer: sgd, ..spec.clone() }, layout(), &bytes), DecodeError::Optimizer(_)));
    let other = Arc::new(Layout::new(layout().tensors()[..1].to_vec()).expect("a layout"));
    assert_eq!(decode(&spec, other, &bytes), DecodeError::OtherRun { part: "layout" });
}

#[test]
fn grids_from_the_wire_are_checked() {
    let grid = |bits, limit, exponents: &[i16]| Grid::validated(bits, limit, exponents.to_vec(), &layout());
    assert!(grid(UpdateBits::Eight, 127, &[0, 60, -60]).is_ok());
    for (bits, limit, exponents) in [
        (UpdateBits::Eight, 128, &[0, 0, 0][..]),
        (UpdateBits::Eight, 0, &[0, 0, 0]),
        (UpdateBits::ThirtyTwo, -5, &[0, 0, 0]),
        (UpdateBits::ThirtyTwo, i32::MAX, &[0, 0, 0]),
        (UpdateBits::Sixteen, 100, &[0, 0]),
        (UpdateBits::Sixteen, 100, &[0, 0, 61]),
        (UpdateBits::Sixteen, 100, &[i16::MIN, 0, 0]),
    ] {
        assert!(grid(bits, limit, exponents).is_err(), "{bits:?} {limit} {exponents:?}");
    }
}
