//! Names of things: every identifier that crosses a boundary has a type of its own.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A moment on the shell's monotonic clock, in nanoseconds since an origin of the shell's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The moment `duration` later; saturates instead of wrapping.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Time passed since `earlier`; zero if `earlier` lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// The number of a round in its run, from 0. Params of round r are what round r starts from.
    Round(u32)
}
counter! {
    /// A worker's admission to a run. A worker that comes back is a new member.
    MemberId(u64)
}
counter! {
    /// One grant of units to one member in one round; never used twice in a run.
    LeaseId(u64)
}
counter! {
    /// The index of a unit in its round, `0..units`; unit `u` always works on shard `u`.
    Unit(u32)
}

impl Round {
    /// The round after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A set of units, in index order.
pub type Units = BTreeSet<Unit>;

macro_rules! uuid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// Reads what `Display` writes: 32 lower-case hexadecimal digits in groups of 8, 4, 4, 4 and 12.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let mut id = [0; 16];
                let digits: Vec<u8> = text.bytes().filter(|&byte| byte != b'-').collect();
                for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
                    *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
                }
                Some(Self(id)).filter(|id| id.to_string() == text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (index, byte) in self.0.iter().enumerate() {
                    if matches!(index, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }
    };
}

uuid! {
    /// A worker process of a partner: made once by the worker, kept over its reconnections.
    WorkerId
}
uuid! {
    /// One training job.
    RunId
}

/// The name of a partner (an organisation): 1 to 64 of `a-z`, `0-9`, `-`, beginning with a letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PartnerName(String);

/// Why a text is not a partner's name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("partner name {text:?} is not 1 to {max} of a-z, 0-9 and '-', beginning with a letter", max = PartnerName::MAX_LEN)]
pub struct PartnerNameError {
    text: String,
}

impl PartnerName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Parses a name.
    ///
    /// # Errors
    /// [`PartnerNameError`] unless the text has the form the type documents.
    pub fn parse(text: &str) -> Result<Self, PartnerNameError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let well_formed = text.len() <= Self::MAX_LEN
            && text.bytes().all(allowed)
            && text.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
        match well_formed {
            true => Ok(Self(text.to_owned())),
            false => Err(PartnerNameError { text: text.chars().take(Self::MAX_LEN).collect() }),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PartnerName {
    type Error = PartnerNameError;

    fn try_from(text: String) -> Result<Self, PartnerNameError> {
        Self::parse(&text)
    }
}

impl From<PartnerName> for String {
    fn from(name: PartnerName) -> Self {
        name.0
    }
}

impl fmt::Display for PartnerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_reads_in_its_usual_form() {
        let id = WorkerId([0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(id.to_string(), "12345678-9abc-def0-0102-030405060708");
        assert_eq!(WorkerId::parse(&id.to_string()), Some(id));
        for wrong in ["", "12345678", "12345678-9ABC-def0-0102-030405060708", "123456789-abc-def0-0102-030405060708"] {
            assert_eq!(WorkerId::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn partner_names_are_parsed_strictly() {
        for good in ["a", "hospital-b", "x9"] {
            assert_eq!(PartnerName::parse(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "9x", "-a", "Hospital", "a b", "a\n", &"a".repeat(65)] {
            assert!(PartnerName::parse(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn time_saturates() {
        assert_eq!(Time(u64::MAX).after(Duration::from_secs(1)), Time(u64::MAX));
        assert_eq!(Time(3).since(Time(5)), Duration::ZERO);
    }
}
