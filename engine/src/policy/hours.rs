//! The days and hours in which a worker works.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{MAX_WINDOWS, PolicyError, require};

const MINUTES_A_DAY: u32 = 24 * 60;
const MINUTES_A_WEEK: u32 = 7 * MINUTES_A_DAY;
/// 1970-01-01 was a Thursday; weeks are counted from a Monday.
const FIRST_DAY: u64 = 3;

/// When a worker works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// What its times are ahead of UTC. There is no daylight saving time.
    #[serde(default)]
    pub utc_offset: Offset,
    /// When it works.
    pub windows: Vec<Window>,
}

/// Some hours of some days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The days on which it begins; every day if absent.
    #[serde(default = "Weekday::all")]
    pub days: Vec<Weekday>,
    /// When it begins.
    pub from: Clock,
    /// When it ends: on the next day, if that is earlier than it begins.
    pub to: Clock,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Weekday {
    /// All of them, from Monday.
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    fn all() -> Vec<Self> {
        Self::ALL.to_vec()
    }

    fn index(self) -> u32 {
        match self {
            Self::Mon => 0,
            Self::Tue => 1,
            Self::Wed => 2,
            Self::Thu => 3,
            Self::Fri => 4,
            Self::Sat => 5,
            Self::Sun => 6,
        }
    }
}

/// A time of the day, in minutes; 24:00 is the end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clock(u32);

/// What a time is ahead of UTC, in minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offset(i32);

/// `HH:MM`, in minutes.
fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        text.parse::<u32>().ok().filter(|_| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let (hours, minutes) = (number(hours)?, number(minutes).filter(|minutes| *minutes < 60)?);
    Some(hours * 60 + minutes)
}

impl Clock {
    /// The time that `text` names, as `20:30`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        minutes(text).filter(|minutes| *minutes <= MINUTES_A_DAY).map(Self)
    }
}

impl Offset {
    /// The offset that `text` names, as `+02:00`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (sign, rest) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
            (Some(rest), _) => (1, rest),
            (None, Some(rest)) => (-1, rest),
            (None, None) => return None,
        };
        let minutes = i32::try_from(minutes(rest)?).ok().filter(|minutes| *minutes <= 14 * 60)?;
        Some(Self(sign * minutes))
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        write!(f, "{sign}{}", Clock(self.0.unsigned_abs()))
    }
}

macro_rules! as_text {
    ($($name:ident, $expected:literal;)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let wrong = || de::Error::custom(format!("found {text:?}, expected {}", $expected));
                Self::parse(&text).ok_or_else(wrong)
            }
        }
    )*};
}

as_text! {
    Clock, "a time as \"08:30\", up to \"24:00\"";
    Offset, "an offset from UTC as \"+02:00\", up to 14 hours";
}

/// Whether a worker works at a moment, and for how long that stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It works, for so many seconds more; for ever if there is no end.
    Open {
        /// Seconds to the end.
        seconds: Option<u64>,
    },
    /// It does not, for so many seconds more.
    Closed {
        /// Seconds to the next beginning.
        seconds: u64,
    },
}

impl Hours {
    pub(super) fn check(&self) -> Result<(), PolicyError> {
        const KEY: &str = "schedule.windows";
        let count = format_args!("a list of 1 to {MAX_WINDOWS}").to_string();
        let fits = (1..=MAX_WINDOWS).contains(&self.windows.len());
        require(fits, KEY, format_args!("a list of {}", self.windows.len()), count)?;
        for Window { days, from, to } in &self.windows {
            let expected = "from a time to a later one, or to an earlier one of the next day; 00:00 to 24:00 is a day";
            require(from != to && from.0 < MINUTES_A_DAY, KEY, format_args!("from {from} to {to}"), expected)?;
            require(!days.is_empty(), KEY, "a window on no day", "on one day at least; without days it is every day")?;
        }
        Ok(())
    }

    /// Whether a worker works at a moment, in seconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn at(&self, unix_seconds: u64) -> Opening {
        let local = i128::from(unix_seconds) + i128::from(self.utc_offset.0) * 60;
        let since_monday = local + i128::from(FIRST_DAY) * 86_400;
        let second = since_monday.rem_euclid(i128::from(MINUTES_A_WEEK) * 60) as u64;
        let is_open = self.covers((second / 60) as u32);
        let first_minute = second / 60 + 1;
        let change = (first_minute..first_minute + u64::from(MINUTES_A_WEEK))
            .find(|minute| self.covers((minute % u64::from(MINUTES_A_WEEK)) as u32) != is_open);
        match (is_open, change.map(|minute| minute * 60 - second)) {
            (true, seconds) => Opening::Open { seconds },
            // A window is open at some time of every week.
            (false, seconds) => Opening::Closed { seconds: seconds.unwrap_or(u64::from(MINUTES_A_WEEK) * 60) },
        }
    }

    /// Whether a minute of the week, from Monday 00:00, is in a window.
    fn covers(&self, minute: u32) -> bool {
        self.windows.iter().any(|window| {
            let length = (window.to.0 + MINUTES_A_DAY - window.from.0) % MINUTES_A_DAY;
            let length = if length == 0 { MINUTES_A_DAY } else { length };
            window.days.iter().any(|day| {
                let begins = day.index() * MINUTES_A_DAY + window.from.0;
                (minute + MINUTES_A_WEEK - begins) % MINUTES_A_WEEK < length
            })
        })
    }
}
