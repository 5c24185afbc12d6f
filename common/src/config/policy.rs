//! A partner's policy as text.

use syngrad_engine::policy::{Policy, PolicyError};
use thiserror::Error;

use super::{ConfigError, complaint};
use crate::limits::MAX_POLICY;

/// Why a text is no policy.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PolicyTextError {
    /// The text is too long.
    #[error("the policy has {found} bytes; it may have {MAX_POLICY}")]
    TooLong {
        /// Bytes of the text.
        found: usize,
    },
    /// The text is not well-formed, has a key that does not exist, or a value of the wrong type.
    #[error(transparent)]
    Text(#[from] ConfigError),
    /// A value is out of its range.
    #[error(transparent)]
    Value(#[from] PolicyError),
}

/// Reads a policy that a person wrote in TOML.
///
/// # Errors
/// [`PolicyTextError`] with the place or the key of what is wrong.
pub fn parse_policy(text: &str) -> Result<Policy, PolicyTextError> {
    if text.len() > MAX_POLICY {
        return Err(PolicyTextError::TooLong { found: text.len() });
    }
    let policy: Policy = toml::from_str(text).map_err(|error| complaint::of_toml(text, &error))?;
    policy.check()?;
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        parse_policy(text).expect_err(text).to_string()
    }

    #[test]
    fn the_example_is_a_policy_with_every_key() {
        let text = include_str!("../../../examples/policy.toml");
        let policy = parse_policy(text).expect("the example is good");
        let value = serde_json::to_value(&policy).expect("plain");
        let keys: Vec<&String> = value.as_object().expect("a table").keys().collect();
        assert_eq!(keys.len(), 14, "{keys:?}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_what_was_meant() {
        for (text, words) in [
            ("max_round = 3", &["line 1, column 1", "no key \"max_round\"", "did you mean \"max_rounds\"?"][..]),
            ("\nmodels = ['noob']", &["line 2", "no choice \"noob\"", "did you mean \"noop\"?"]),
            ("max_rounds = 'many'", &["line 1", "expected u32"]),
            ("max_rounds = -1", &["line 1"]),
            ("[schedule]\nwindows = [{ form = '08:00', to = '09:00' }]", &["line 2", "did you mean \"from\"?"]),
            ("[schedule]\nwindows = [{ from = '8', to = '09:00' }]", &["line 2", "found \"8\", expected a time"]),
            ("cpu = 0", &["cpu is 0", "above 0"]),
            ("max_rounds =", &["line 1"]),
        ] {
            let found = wrong(text);
            assert!(words.iter().all(|word| found.contains(word)), "{text}: {found}");
        }
        assert!(wrong(&"#".repeat(MAX_POLICY + 1)).contains("65536"));
    }
}
