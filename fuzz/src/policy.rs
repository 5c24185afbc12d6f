//! A partner's policy: the file, the hours in it, and the bound on what leaves.

use arbitrary::{Result, Unstructured};
use syngrad_common::config::{PolicyTextError, parse_policy};
use syngrad_common::limits::MAX_POLICY;
use syngrad_engine::policy::{Allowance, Clock, Day, Limits, Opening, Parcel, Policy, Release, Spent, clip, norm};
use syngrad_engine::{Digest, Round, RunId};

/// Seconds in a week and a minute: no answer about hours holds for longer.
const WEEK: u64 = 7 * 86_400 + 60;

/// The first byte says what the others are.
pub fn check(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 3 {
        0 => {
            if let Ok(text) = std::str::from_utf8(bytes) {
                check_text(text);
            }
        }
        // Bytes that are no whole input are no input.
        1 => drop(check_clip(&mut Unstructured::new(bytes))),
        _ => drop(check_allowance(&mut Unstructured::new(bytes))),
    }
}

fn check_text(text: &str) {
    match parse_policy(text) {
        Ok(policy) => check_policy(&policy),
        Err(PolicyTextError::TooLong { found }) => assert!(found > MAX_POLICY),
        Err(why) => assert!(!why.to_string().is_empty()),
    }
    if let Some(clock) = Clock::parse(text) {
        assert_eq!(clock.to_string(), text, "a time has one spelling");
    }
}

fn check_policy(policy: &Policy) {
    assert_eq!(policy.check(), Ok(()), "what is read is checked");
    assert!((0.0..=1.0).contains(&policy.share()), "{}", policy.share());
    let Some(hours) = &policy.schedule else { return };
    for at in [0, 1_800_000_000, 1_800_000_059, u64::MAX] {
        let (is_open, seconds) = match hours.at(at) {
            Opening::Open { seconds: None } => continue,
            Opening::Open { seconds: Some(seconds) } => (true, seconds),
            Opening::Closed { seconds } => (false, seconds),
        };
        assert!((1..=WEEK).contains(&seconds), "{at}: {seconds}");
        if let Some(then) = at.checked_add(seconds) {
            assert_ne!(matches!(hours.at(then), Opening::Open { .. }), is_open, "nothing changes at {then}");
        }
    }
}

/// What leaves is not above the bound, whatever it was.
fn check_clip(input: &mut Unstructured<'_>) -> Result<()> {
    let most = 10_f64.powi(input.int_in_range(-50..=38)?) * (1.0 + f64::from(input.arbitrary::<u16>()?) / 65_536.0);
    let mut values = (0..input.int_in_range(1..=40)?).map(|_| input.arbitrary()).collect::<Result<Vec<f32>>>()?;
    let before = values.clone();
    let clipping = clip(&mut values, most);
    if before.iter().any(|value| !value.is_finite()) {
        assert!(
            values.iter().zip(&before).all(|(new, old)| new.to_bits() == old.to_bits()),
            "only whole ones are scaled"
        );
        return Ok(());
    }
    assert_eq!((clipping.before, clipping.after), (norm(&before), norm(&values)));
    assert!(clipping.after <= most, "{} is above {most}", clipping.after);
    assert!(clipping.before > most || values == before, "what is within the bound stays as it is");
    Ok(())
}

/// No more leaves than may, over restarts that forget what was not kept.
fn check_allowance(input: &mut Unstructured<'_>) -> Result<()> {
    let limits = Limits {
        bytes_a_day: input.arbitrary::<Option<u16>>()?.map(u64::from),
        rounds: input.arbitrary::<Option<u8>>()?.map(u32::from),
    };
    let mut kept = Spent::default();
    let mut allowance = Allowance::new(limits, &kept);
    let mut left = 0_u64;
    let day = Day::of(1_800_000_000);
    for number in 0..input.int_in_range(0..=200)? {
        if input.ratio(1, 10)? {
            allowance = Allowance::new(limits, &kept);
        }
        let parcel = Parcel {
            day,
            run: RunId([input.int_in_range(0..=2)?; 16]),
            round: Round(number),
            params: Digest([number as u8; 32]),
            bytes: u64::from(input.arbitrary::<u8>()?),
        };
        let bytes = parcel.bytes;
        match allowance.release(parcel) {
            Release::Granted => left += bytes,
            Release::GrantedOnceKept(spent) => {
                (kept, left) = (spent, left + bytes);
            }
            Release::DayIsSpent { .. } | Release::RunIsSpent { .. } => {}
        }
        assert!(limits.bytes_a_day.is_none_or(|most| left <= most), "{left} bytes have left in a day");
    }
    Ok(())
}

/// The example, its parts, and choices that lead everywhere.
pub fn seeds() -> Vec<Vec<u8>> {
    let example = include_str!("../../examples/policy.toml");
    let bare: String =
        example.lines().filter(|line| !line.trim_start().starts_with('#')).map(|line| format!("{line}\n")).collect();
    let texts = [bare.as_str(), "20:30", "max_norm = 1.5\n"].map(|text| (0, text.as_bytes().to_vec()));
    let choices = (0..12).map(|number| (1 + number as u8 % 2, crate::noise(number, 200)));
    texts.into_iter().chain(choices).map(|(kind, bytes)| [vec![kind], bytes].concat()).collect()
}
