//! Training states: bytes are exactly one state of the run, or refused; and a state that was read can go on.

use std::sync::{Arc, LazyLock};

use syngrad_common::config::CanonicalSpec;
use syngrad_engine::aggregate::{Aggregate, Tally};
use syngrad_engine::layout::{Layout, Tensor};
use syngrad_engine::quantize::UnitSum;
use syngrad_engine::state::TrainingState;
use syngrad_engine::{Plan, RunSpec, Unit};

/// Samples of the runs.
const SAMPLES: u32 = 8;

/// A run whose states are read.
struct World {
    spec: RunSpec,
    plan: Plan,
    layout: Arc<Layout>,
}

/// One for each kind of optimiser state: none, one moment, two.
static WORLDS: LazyLock<Vec<World>> = LazyLock::new(|| {
    [
        "kind = \"sgd\"\nlearning_rate = 0.1",
        "kind = \"sgd\"\nlearning_rate = 0.1\nmomentum = 0.9",
        "kind = \"adam\"\nlearning_rate = 0.01",
    ]
    .map(world)
    .into()
});

fn world(optimizer: &str) -> World {
    let text = format!(
        "name = \"fuzz\"\nupdate_bits = 16\n[model]\nkind = \"noop\"\nparams = 5\n[data]\nkind = \"synthetic\"\n\
         samples = {SAMPLES}\ninputs = 2\nclasses = 2\n[algorithm]\nkind = \"sync-sgd\"\nepochs = 3\nunits = 2\n\
         unit_samples = 2\n[optimizer]\n{optimizer}\n"
    );
    let spec = CanonicalSpec::parse(&text).expect("a good spec").spec().clone();
    let plan = Plan::new(&spec, SAMPLES).expect("a small plan");
    let tensor = |name: &str, shape: &[usize]| Tensor { name: name.into(), shape: shape.into() };
    let layout = Layout::new(vec![tensor("a", &[2, 2]), tensor("b", &[])]).expect("a small layout");
    World { spec, plan, layout: Arc::new(layout) }
}

/// The first byte says of which run the others are to be a state.
pub fn check(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else { return };
    let world = &WORLDS[usize::from(*which) % WORLDS.len()];
    match TrainingState::decode(&world.spec, &world.plan, world.layout.clone(), bytes) {
        Ok(mut state) => {
            assert_eq!(state.encode(), bytes, "a state has one encoding");
            assert!(state.params().iter().all(|param| param.is_finite()));
            assert!(state.round().0 <= world.plan.rounds(), "{} is beyond the run's end", state.round());
            // It may diverge, which is an error.
            let _ = state.commit(&sums(world, &state, 0.5));
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
}

/// What both units give if every entry of each is `value`.
fn sums(world: &World, state: &TrainingState, value: f32) -> Aggregate {
    let mut aggregate = Aggregate::new(world.layout.clone(), state.grid());
    let mut sum = UnitSum::new(world.layout.clone());
    sum.begin(world.spec.seed, state.round(), state.grid());
    for unit in [Unit(0), Unit(1)] {
        sum.add(unit, &vec![value; world.layout.params()]).expect("finite values");
    }
    let mut packed = Vec::new();
    sum.pack(&mut packed);
    let tally = Tally { units: sum.units().clone(), weight: 4, saturated: sum.saturated() };
    aggregate.add(&packed, &tally).expect("an honest update");
    aggregate
}

/// States of each run, at its beginning and after a round.
pub fn seeds() -> Vec<Vec<u8>> {
    let states = WORLDS.iter().zip(0_u8..).flat_map(|(world, which)| {
        let params = vec![0.25; world.layout.params()];
        let first = TrainingState::new(&world.spec, &world.plan, world.layout.clone(), params).expect("a first state");
        let mut second = first.clone();
        second.commit(&sums(world, &first, 0.5)).expect("a small step");
        [first, second].map(|state| [vec![which], state.encode()].concat())
    });
    states.collect()
}
