//! What a seed means: a run, and what is done to it.

use std::time::Duration;

use syngrad_engine::random::{Purpose, Stream};

/// Sets these values apart from the simulation's.
const CHAOS: u64 = 1;

/// One world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// The run spec, as TOML.
    pub(crate) spec: String,
    pub(crate) workers: usize,
    /// In their order; each waits for the one before it.
    pub(crate) strikes: Vec<Strike>,
}

/// Something done to one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strike {
    pub(crate) when: When,
    pub(crate) target: Target,
    pub(crate) what: What,
}

/// When a strike falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// When so many rounds are committed.
    Round(u32),
    /// So long after the strike before it, wherever the run is then.
    After(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Coordinator,
    Worker(usize),
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// SIGKILL, and a new start after a while.
    Kill { away: Duration },
    /// SIGSTOP, and SIGCONT after a while.
    Stop { away: Duration },
}

impl Schedule {
    /// Draws the world of `seed`, with a run `stretch` times as long as most machines need for it.
    pub(crate) fn draw(seed: u64, stretch: u32) -> Self {
        let mut stream = Stream::new(seed, Purpose::Simulation, &[CHAOS]);
        let workers = 2 + stream.below(3) as usize;
        let (spec, rounds) = spec((seed, stretch), &mut stream);
        let count = 4 + stream.below(3) as u32;
        // Three of them kill, and one of these the coordinator, whatever is drawn for the others.
        let mut kills: Vec<bool> = (0..count).map(|index| index < 3 || stream.below(3) == 0).collect();
        stream.shuffle(&mut kills);
        let which = stream.below(3) as usize;
        let sure = (0..kills.len()).filter(|&index| kills[index]).nth(which);
        let mut strike = |index: u32| {
            let share = rounds / (count + 1);
            let round = (index + 1) * share - stream.below(u64::from(share) / 2) as u32;
            let delay = Duration::from_millis(stream.below(250));
            let by_time = index > 0 && stream.below(3) == 0;
            let on_coordinator = stream.below(3) == 0 || sure == Some(index as usize);
            let worker = Target::Worker(stream.below(workers as u64) as usize);
            let back_at_once = stream.below(2) == 0;
            let away = Duration::from_millis(if back_at_once { 0 } else { stream.below(400) });
            Strike {
                when: if by_time { When::After(delay) } else { When::Round(round) },
                target: if on_coordinator { Target::Coordinator } else { worker },
                what: match kills[index as usize] {
                    true => What::Kill { away },
                    false => What::Stop { away: away + Duration::from_millis(100) },
                },
            }
        };
        let strikes = (0..count).map(&mut strike).collect();
        Self { spec, workers, strikes }
    }
}

/// A run of a second or so, and how many rounds it has.
fn spec((seed, stretch): (u64, u32), stream: &mut Stream) -> (String, u32) {
    let bits = [8, 16, 32][stream.below(3) as usize];
    // The last of these has no checkpoint but the one at its end.
    let (durability, cadence) =
        [("every_round", 100), ("checkpoint", 1), ("checkpoint", 40), ("checkpoint", 1_000_000)]
            [stream.below(4) as usize];
    let waits_for_disk = durability == "every_round" || cadence == 1;
    let fedavg = stream.below(2) == 1;
    let rounds = stretch * if waits_for_disk { 200 } else { 600 };
    let algorithm = match fedavg {
        true => format!(
            "kind = \"fedavg\"\nrounds = {rounds}\nunits = 6\nlocal_epochs = 1\nlocal_batch = 20\n\
             local_optimizer = {{ kind = \"sgd\", learning_rate = 0.05, momentum = 0.9 }}"
        ),
        // Ten rounds make an epoch.
        false => format!("kind = \"sync-sgd\"\nepochs = {}\nunits = 6\nunit_samples = 20", rounds / 10),
    };
    let optimizer = match fedavg {
        true => "kind = \"sgd\"\nlearning_rate = 1.0\nmomentum = 0.5",
        false => "kind = \"adam\"\nlearning_rate = 0.002",
    };
    let spec = format!(
        "name = \"chaos\"\nseed = {seed}\nupdate_bits = {bits}\ndurability = \"{durability}\"\n\n\
         [model]\nkind = \"mlp\"\ninputs = 32\nhidden = [24]\nclasses = 4\n\n\
         [data]\nkind = \"synthetic\"\nsamples = 1200\ninputs = 32\nclasses = 4\n\n\
         [algorithm]\n{algorithm}\n\n[optimizer]\n{optimizer}\n\n\
         [evaluation]\nevery_rounds = 50\n\n[checkpoint]\nrounds = {cadence}\nseconds = 3600.0\n"
    );
    (spec, rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_kills_three_times_and_the_coordinator_once() {
        for seed in 0..1_000 {
            let strikes = Schedule::draw(seed, 1).strikes;
            let kills: Vec<_> = strikes.iter().filter(|strike| matches!(strike.what, What::Kill { .. })).collect();
            assert!(kills.len() >= 3, "{seed}: {strikes:?}");
            assert!(kills.iter().any(|kill| kill.target == Target::Coordinator), "{seed}: {strikes:?}");
            assert!(matches!(strikes[0].when, When::Round(_)), "{seed}: {strikes:?}");
        }
    }

    #[test]
    fn a_seed_always_means_the_same() {
        assert_eq!(Schedule::draw(7, 1), Schedule::draw(7, 1));
        assert_ne!(Schedule::draw(7, 1), Schedule::draw(8, 1));
    }

    #[test]
    fn a_stretched_world_is_the_same_one_with_more_rounds() {
        let (short, long) = (Schedule::draw(7, 1), Schedule::draw(7, 4));
        assert_ne!(short.spec, long.spec);
        let targets = |world: &Schedule| world.strikes.iter().map(|strike| strike.target).collect::<Vec<_>>();
        assert_eq!((short.workers, targets(&short)), (long.workers, targets(&long)));
        let last = |world: &Schedule| {
            world
                .strikes
                .iter()
                .filter_map(|strike| match strike.when {
                    When::Round(round) => Some(round),
                    When::After(_) => None,
                })
                .max()
        };
        assert!(last(&long) > last(&short).map(|round| 3 * round));
    }

    #[test]
    fn seeds_differ_in_all_that_varies() {
        let worlds: Vec<_> = (0..20).map(|seed| Schedule::draw(seed, 1)).collect();
        for word in ["fedavg", "sync-sgd", "every_round", "rounds = 1\n", "rounds = 1000000\n", "bits = 8", "bits = 32"]
        {
            assert!(worlds.iter().any(|world| world.spec.contains(word)), "{word}");
        }
        let strikes: Vec<Strike> = worlds.into_iter().flat_map(|world| world.strikes).collect();
        let stops = |strike: &&Strike| matches!(strike.what, What::Stop { .. });
        assert!(strikes.iter().filter(stops).any(|strike| strike.target == Target::Coordinator));
        assert!(strikes.iter().filter(stops).any(|strike| matches!(strike.target, Target::Worker(_))));
        assert!(strikes.iter().any(|strike| matches!(strike.when, When::After(_))));
    }
}
