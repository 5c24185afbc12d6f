//! How much each partner may ask for, all its workers and connections together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use syngrad_common::limits::{PARTNER_BYTES, PARTNER_BYTES_PER_SECOND, PARTNER_REQUESTS, PARTNER_REQUESTS_PER_SECOND};
use syngrad_common::{Code, Failure};
use syngrad_engine::consortium::Bucket;
use syngrad_engine::{PartnerName, Time};
use tokio::time::Instant;

/// What partners may ask for now. Partners are those of certificates, so that there are never many.
#[derive(Clone, Debug)]
pub(crate) struct Paces {
    origin: Instant,
    partners: Arc<Mutex<BTreeMap<PartnerName, Pace>>>,
}

#[derive(Debug)]
struct Pace {
    requests: Bucket,
    bytes: Bucket,
}

impl Paces {
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now(), partners: Arc::default() }
    }

    /// Whether a worker of `partner` may make a request at `at`.
    ///
    /// # Errors
    /// [`Failure`] if its workers make too many.
    pub(crate) fn request(&self, at: Instant, partner: &PartnerName) -> Result<(), Failure> {
        match self.with(at, partner, |pace, now| pace.requests.take(now, 1)) {
            true => Ok(()),
            false => {
                let most = PARTNER_REQUESTS_PER_SECOND;
                let why = format!("the workers of partner {partner} make more than {most} requests a second");
                Err(Failure::new(Code::TooFast, why))
            }
        }
    }

    /// When the next bytes may be read, after so many at `at` from a worker of `partner`.
    pub(crate) fn read(&self, at: Instant, partner: &PartnerName, bytes: usize) -> Instant {
        let due = self.with(at, partner, |pace, now| pace.bytes.take_on_credit(now, bytes as u64));
        self.origin + due.since(Time::default())
    }

    fn with<T>(&self, at: Instant, partner: &PartnerName, step: impl FnOnce(&mut Pace, Time) -> T) -> T {
        let now = Time::default().after(at.saturating_duration_since(self.origin));
        let full = || Pace {
            requests: Bucket::new(now, PARTNER_REQUESTS_PER_SECOND, PARTNER_REQUESTS),
            bytes: Bucket::new(now, PARTNER_BYTES_PER_SECOND, PARTNER_BYTES),
        };
        // What a panic left is whole: a step is one assignment.
        let mut partners = self.partners.lock().unwrap_or_else(PoisonError::into_inner);
        step(partners.entry(partner.clone()).or_insert_with(full), now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_partner_has_one_allowance_and_others_have_theirs() {
        let (paces, now) = (Paces::new(), Instant::now());
        let [a, b] = ["a", "b"].map(|name| PartnerName::parse(name).expect("a name"));
        assert!((0..PARTNER_REQUESTS).all(|_| paces.request(now, &a).is_ok()));
        assert_eq!(paces.request(now, &a).map_err(|failure| failure.code), Err(Code::TooFast));
        assert_eq!(paces.request(now, &b), Ok(()));
        let later = now + Duration::from_millis(1);
        assert_eq!(paces.request(later, &a), Ok(()), "a thousand a second flow in");
    }

    #[test]
    fn bytes_beyond_the_allowance_are_waited_for() {
        let (paces, a) = (Paces::new(), PartnerName::parse("a").expect("a name"));
        let now = Instant::now();
        assert!(paces.read(now, &a, PARTNER_BYTES as usize) <= now);
        assert_eq!(paces.read(now, &a, PARTNER_BYTES_PER_SECOND as usize), now + Duration::from_secs(1));
    }
}
