//! Run spec files: what is read is checked, has one encoding, and can be planned.

use syngrad_common::config::{CanonicalSpec, ConfigError};
use syngrad_common::limits::MAX_SPEC;
use syngrad_common::{Code, Failure};
use syngrad_engine::spec::{Algorithm, DataSpec};
use syngrad_engine::{Digest, Plan};

/// Reads bytes as a file that a person wrote, and as the canonical JSON of a coordinator.
pub fn check(data: &[u8]) {
    assert!(CanonicalSpec::from_wire(data, Digest::default()).is_err(), "no digest is all zero");
    let Ok(text) = std::str::from_utf8(data) else { return };
    match CanonicalSpec::parse(text) {
        Ok(canonical) => check_spec(&canonical),
        Err(error) => check_error(text, &error),
    }
}

fn check_spec(canonical: &CanonicalSpec) {
    assert_eq!(canonical.spec().check(), Ok(()), "what is read is checked");
    let wire = CanonicalSpec::from_wire(canonical.json(), canonical.digest());
    assert_eq!(wire.as_ref(), Ok(canonical), "the encoding reads as itself");
    assert_eq!(CanonicalSpec::parse(canonical.text()).as_ref(), Ok(canonical));
    let samples = match &canonical.spec().data {
        DataSpec::Mnist { limit, .. } => limit.unwrap_or(60_000).min(60_000),
        DataSpec::Synthetic { samples, .. } => *samples,
        DataSpec::Private { .. } => canonical.spec().data.private_samples().unwrap_or(0),
    };
    if let Ok(plan) = Plan::new(canonical.spec(), samples) {
        assert!(plan.units() > 0 && plan.rounds() > 0);
        let (Algorithm::SyncSgd { units, .. } | Algorithm::Fedavg { units, .. }) = canonical.spec().algorithm;
        assert_eq!(plan.units(), units);
    }
}

fn check_error(text: &str, error: &ConfigError) {
    match error {
        ConfigError::Syntax { at, .. } | ConfigError::Unknown { at, .. } => {
            let lines = text.split('\n').count();
            assert!((1..=lines + 1).contains(&at.line) && at.column >= 1, "{error} is at {at:?} of {lines} lines");
        }
        ConfigError::TooLong { found } => assert!(*found > MAX_SPEC),
        ConfigError::Value(_) | ConfigError::Differs { .. } => {}
    }
    let code = Code::from(error);
    assert!(!Failure::from(error.clone()).to_string().is_empty() && code != Code::Unlisted);
}

/// The examples, as they are and as canonical JSON.
pub fn seeds() -> Vec<Vec<u8>> {
    let examples = [
        include_str!("../../examples/mnist-diloco.toml"),
        include_str!("../../examples/mnist-fedadam.toml"),
        include_str!("../../examples/mnist-fedavg.toml"),
        include_str!("../../examples/mnist-fedprox.toml"),
        include_str!("../../examples/mnist-mlp.toml"),
        include_str!("../../examples/mnist-private.toml"),
    ];
    let bare = |text: &str| -> String {
        text.lines()
            .filter(|line| !line.trim_start().starts_with('#') && !line.is_empty())
            .map(|l| format!("{l}\n"))
            .collect()
    };
    let json = |text: &str| CanonicalSpec::parse(text).expect("an example is a spec").text().to_owned();
    examples.iter().flat_map(|text| [bare(text), json(text)]).map(String::into_bytes).collect()
}
