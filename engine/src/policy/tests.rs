use proptest::prelude::*;

use super::*;
use crate::digest::Digest;
use crate::id::{Round, RunId};

const MONDAY: u64 = 4 * 86_400;

fn policy(text: &str) -> Policy {
    let policy: Policy = toml::from_str(text).expect("a policy");
    policy.check().expect("good values");
    policy
}

fn request() -> Request {
    let host = Host { address: "127.0.0.1:7070".into(), identity: Some("0a0b".into()), consortium: None };
    Request {
        host,
        model: ModelKind::Mlp,
        algorithm: AlgorithmKind::Fedavg,
        dataset: DatasetKind::Private,
        params: 1_000,
        rounds: 20,
        update_bytes: 4_000,
        memory: 50 << 20,
    }
}

fn refused(policy: &Policy, request: &Request) -> Vec<String> {
    policy.admit(request).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn without_rules_everything_is_accepted() {
    assert_eq!(policy("").admit(&request()), Ok(()));
    let shared = Request { dataset: DatasetKind::Mnist, model: ModelKind::Noop, ..request() };
    assert_eq!(policy("").admit(&shared), Ok(()));
}

#[test]
fn every_rule_refuses_what_is_beyond_it_and_nothing_else() {
    let shared = Request { dataset: DatasetKind::Mnist, ..request() };
    for (text, within, beyond, words) in [
        (
            "coordinators = ['127.0.0.1:7070']",
            request(),
            Request { host: Host::default(), ..request() },
            "coordinators",
        ),
        ("models = ['mlp']", request(), Request { model: ModelKind::Noop, ..request() }, "models accepts mlp"),
        (
            "algorithms = ['fedavg']",
            request(),
            Request { algorithm: AlgorithmKind::SyncSgd, ..request() },
            "algorithms accepts fedavg, and the run has sync-sgd",
        ),
        (
            "datasets = ['private', 'mnist']",
            request(),
            Request { dataset: DatasetKind::Synthetic, ..request() },
            "mnist",
        ),
        ("private_data = 'refuse'", shared.clone(), request(), "private_data"),
        ("max_rounds = 20", request(), Request { rounds: 21, ..request() }, "asks for 21 rounds"),
        ("max_params = 1000", request(), Request { params: 1_001, ..request() }, "asks for 1001 params"),
        ("max_update_bytes_a_day = 4000", request(), Request { update_bytes: 4_001, ..request() }, "4001 bytes"),
        ("memory_mb = 50", request(), Request { memory: (50 << 20) + 1, ..request() }, "asks for 51 MiB"),
        ("max_norm = 1.0", request(), shared, "private samples only"),
    ] {
        assert_eq!(refused(&policy(text), &within), Vec::<String>::new(), "{text}");
        let found = refused(&policy(text), &beyond);
        assert!(found.len() == 1 && found[0].contains(words), "{text}: {found:?}");
    }
}

#[test]
fn what_no_run_has_yet_refuses_every_run() {
    for text in ["require_secure_aggregation = true", "require_privacy_budget = true"] {
        let key = text.split(' ').next().expect("a key");
        let found = refused(&policy(text), &request());
        assert!(found.len() == 1 && found[0].contains(key) && found[0].contains("no run of this release"), "{found:?}");
    }
}

#[test]
fn all_objections_are_told_at_once() {
    let found = refused(&policy("max_rounds = 1\nmax_params = 1\nmodels = ['noop']"), &request());
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn a_coordinator_is_known_by_any_of_its_names() {
    let host = Host { address: "a:1".into(), identity: Some("0A-0B".into()), consortium: Some("Nordic".into()) };
    let request = Request { host, ..request() };
    for name in ["a:1", "0a-0b", "nordic"] {
        assert_eq!(policy(&format!("coordinators = ['x', '{name}']")).admit(&request), Ok(()));
    }
    assert!(policy("coordinators = ['a']").admit(&request).is_err());
}

#[test]
fn values_out_of_their_range_are_named() {
    for (text, key) in [
        ("coordinators = []", "coordinators"),
        ("coordinators = ['']", "coordinators"),
        ("models = []", "models"),
        ("max_rounds = 0", "max_rounds"),
        ("max_update_bytes_a_day = 0", "max_update_bytes_a_day"),
        ("max_params = 0", "max_params"),
        ("memory_mb = 0", "memory_mb"),
        ("cpu = 0", "cpu"),
        ("cpu = nan", "cpu"),
        ("cpu = -0.5", "cpu"),
        ("max_norm = 0.0", "max_norm"),
        ("max_norm = inf", "max_norm"),
        ("schedule = { windows = [] }", "schedule.windows"),
        ("schedule = { windows = [{ from = '08:00', to = '08:00' }] }", "schedule.windows"),
        ("schedule = { windows = [{ from = '24:00', to = '08:00' }] }", "schedule.windows"),
        ("schedule = { windows = [{ days = [], from = '07:00', to = '08:00' }] }", "schedule.windows"),
    ] {
        let read: Policy = toml::from_str(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        let error = read.check().expect_err(text);
        assert_eq!(error.key, key, "{text}: {error}");
    }
    for text in ["max_round = 1", "models = ['cnn']", "schedule = { windows = [{ from = '8:00', to = '9:00' }] }"] {
        assert!(toml::from_str::<Policy>(text).is_err(), "{text}");
    }
}

#[test]
fn the_share_of_a_core_is_one_at_most() {
    assert_eq!([policy("").share(), policy("cpu = 0.25").share(), policy("cpu = 4").share()], [1.0, 0.25, 1.0]);
}

#[test]
fn a_worker_rests_for_what_others_have_of_the_core() {
    let second = Duration::from_secs(1);
    let rests = [1.0, 0.5, 0.25, 1e-300].map(|share| Policy::rest(share, second));
    assert_eq!(rests, [Duration::ZERO, second, 3 * second, LONGEST_REST]);
}

fn hours(text: &str) -> Hours {
    policy(&format!("[schedule]\n{text}")).schedule.expect("hours")
}

#[test]
fn nights_reach_into_the_next_day() {
    let nights = hours("windows = [{ days = ['mon', 'fri'], from = '20:00', to = '06:00' }]");
    let hour = |day: u64, hour: u64| nights.at(MONDAY + day * 86_400 + hour * 3_600);
    assert_eq!(hour(0, 19), Opening::Closed { seconds: 3_600 });
    assert_eq!(hour(0, 20), Opening::Open { seconds: Some(10 * 3_600) });
    assert_eq!(hour(1, 5), Opening::Open { seconds: Some(3_600) });
    assert_eq!(hour(1, 6), Opening::Closed { seconds: (3 * 24 + 14) * 3_600 });
    assert_eq!(hour(5, 5), Opening::Open { seconds: Some(3_600) }, "Saturday morning");
    assert_eq!(nights.at(MONDAY + 20 * 3_600 + 1), Opening::Open { seconds: Some(10 * 3_600 - 1) });
}

#[test]
fn the_week_is_round_and_the_offset_moves_it() {
    let sunday = hours("windows = [{ days = ['sun'], from = '22:00', to = '02:00' }]");
    assert_eq!(sunday.at(MONDAY + 3_600), Opening::Open { seconds: Some(3_600) });
    let east = hours("utc_offset = '+02:00'\nwindows = [{ days = ['mon'], from = '00:00', to = '24:00' }]");
    assert_eq!(east.at(MONDAY - 2 * 3_600), Opening::Open { seconds: Some(86_400) });
    assert_eq!(east.at(MONDAY + 22 * 3_600), Opening::Closed { seconds: 6 * 86_400 });
    let west = hours("utc_offset = '-02:00'\nwindows = [{ days = ['mon'], from = '00:00', to = '24:00' }]");
    assert_eq!(west.at(0), Opening::Closed { seconds: 4 * 86_400 + 2 * 3_600 });
    assert_eq!(hours("windows = [{ from = '00:00', to = '24:00' }]").at(0), Opening::Open { seconds: None });
}

#[test]
fn hours_are_written_as_they_are_read() {
    let text = r#"{"utc_offset":"-09:30","windows":[{"days":["mon"],"from":"08:05","to":"24:00"}]}"#;
    let read: Hours = serde_json::from_str(text).expect("hours");
    assert_eq!(serde_json::to_string(&read).expect("text"), text);
}

const RUN: RunId = RunId([7; 16]);

fn parcel(day: u64, round: u32, bytes: u64) -> Parcel {
    Parcel { day: Day(day), run: RUN, round: Round(round), params: Digest([round as u8; 32]), bytes }
}

fn is_granted(release: &Release) -> bool {
    match release {
        Release::Granted | Release::GrantedOnceKept(_) => true,
        Release::DayIsSpent { .. } | Release::RunIsSpent { .. } => false,
    }
}

#[test]
fn the_bytes_of_a_day_are_renewed_the_next_day_and_never_by_a_clock_set_back() {
    let limits = Limits { bytes_a_day: Some(100), rounds: None };
    let mut allowance = Allowance::new(limits, &Spent::default());
    assert!(is_granted(&allowance.release(parcel(10, 0, 60))));
    assert!(allowance.has_room(Day(10), 40) && !allowance.has_room(Day(10), 41));
    assert_eq!(allowance.release(parcel(10, 1, 41)), Release::DayIsSpent { bytes: 41, left: 40 });
    assert_eq!(allowance.release(parcel(9, 1, 41)), Release::DayIsSpent { bytes: 41, left: 40 });
    assert!(is_granted(&allowance.release(parcel(11, 1, 100))));
    assert_eq!((allowance.bytes(Day(11)), allowance.bytes(Day(12))), (100, 0));
}

#[test]
fn a_round_counts_once_unless_its_params_are_others() {
    let limits = Limits { bytes_a_day: None, rounds: Some(2) };
    let mut allowance = Allowance::new(limits, &Spent::default());
    for round in [0, 0, 1, 0, 1] {
        assert!(is_granted(&allowance.release(parcel(1, round, 8))));
    }
    assert_eq!(allowance.rounds(RUN), 2);
    assert_eq!(allowance.release(parcel(1, 2, 8)), Release::RunIsSpent { rounds: 2 });
    let other_params = Parcel { params: Digest([9; 32]), ..parcel(1, 0, 8) };
    assert_eq!(allowance.release(other_params), Release::RunIsSpent { rounds: 2 });
    let other_run = Parcel { run: RunId([8; 16]), ..parcel(1, 2, 8) };
    assert!(is_granted(&allowance.release(other_run)));
}

#[test]
fn without_limits_nothing_is_kept() {
    let mut allowance = Allowance::new(Limits::default(), &Spent::default());
    assert!((0..100).all(|round| allowance.release(parcel(1, round, 1 << 40)) == Release::Granted));
}

proptest! {
    /// Crashes at any moment: what the disk says is never less than what left, and nothing over a limit leaves.
    #[test]
    fn no_crash_gives_anything_back(
        parcels in prop::collection::vec((0u64..3, 0u32..40, 1u64..400, prop::bool::weighted(0.1)), 1..300),
        rounds in 1u32..60,
        bytes in 400u64..200_000,
    ) {
        let limits = Limits { rounds: Some(rounds), bytes_a_day: Some(bytes) };
        let mut disk = Spent::default();
        let mut allowance = Allowance::new(limits, &disk);
        let (mut left, mut today, mut seen) = (0, 0, std::collections::BTreeSet::new());
        for (day, round, size, crashes) in parcels {
            if crashes {
                let through_text = serde_json::to_string(&disk).expect("plain");
                disk = serde_json::from_str(&through_text).expect("its own words");
                allowance = Allowance::new(limits, &disk);
            }
            let parcel = parcel(day.max(today), round, size);
            if parcel.day.0 > today {
                (today, left) = (parcel.day.0, 0);
            }
            let release = allowance.release(parcel);
            if let Release::GrantedOnceKept(spent) = &release {
                disk = spent.clone();
            }
            if is_granted(&release) {
                left += size;
                seen.insert(round);
                prop_assert!(left <= bytes && seen.len() <= rounds as usize);
                prop_assert!(disk.day == parcel.day && disk.bytes >= left, "{disk:?} {left}");
            }
        }
    }

    #[test]
    fn clipped_values_are_within_their_bound_and_point_the_same_way(
        values in prop::collection::vec(-1e6f32..1e6, 0..200),
        most in 1e-3f64..1e7,
    ) {
        let mut clipped = values.clone();
        let found = clip(&mut clipped, most);
        prop_assert_eq!(found.before, norm(&values));
        prop_assert_eq!(found.after, norm(&clipped));
        prop_assert!(found.after <= most);
        if found.before <= most {
            prop_assert_eq!(&clipped, &values);
        } else {
            prop_assert!(found.after >= most * 0.999_99, "{} is much less than {}", found.after, most);
        }
        prop_assert!(clipped.iter().zip(&values).all(|(after, before)| after * before >= 0.0));
        let mut again = values;
        clip(&mut again, most);
        prop_assert_eq!(again, clipped);
    }
}

#[test]
fn values_that_are_not_finite_are_left_to_whoever_refuses_them() {
    let mut values = [1.0, f32::NAN, f32::INFINITY];
    assert!(!clip(&mut values, 1.0).before.is_finite());
    assert!(values[0] == 1.0 && values[1].is_nan());
}

#[test]
fn the_norm_is_the_square_root_of_the_sum_of_squares() {
    let values: Vec<f32> = (0..1_000).map(|index| (index % 17) as f32).collect();
    let squares: u64 = (0..1_000u64).map(|index| (index % 17) * (index % 17)).sum();
    assert_eq!(norm(&values), (squares as f64).sqrt());
}

#[test]
fn a_bound_below_what_f32_can_express_is_kept_too() {
    // Found by fuzzing: the values are among f32's smallest, and rounding moved them by more than the second factor.
    let exponents = [-36, -38, -40, -42, -44, -46, -60];
    for most in exponents.map(|exponent| 1.234_567 * libm::pow(10.0, f64::from(exponent))) {
        let mut values: Vec<f32> = (1..40).map(|value| value as f32 * 1e-37).collect();
        let clipping = clip(&mut values, most);
        assert!(clipping.after <= most && norm(&values) == clipping.after, "{} is above {most}", clipping.after);
    }
}

#[test]
fn a_time_of_the_day_is_digits() {
    assert!(Clock::parse("05:09").is_some());
    for wrong in ["+5:+9", "+5:09", "5:09", "05:9", "05:60", "24:01", "٠٥:٠٩"] {
        assert_eq!(Clock::parse(wrong), None, "{wrong}");
    }
}
