//! What an operator asks about who takes part, field by field.

use syngrad_engine::consortium::Holder;
use syngrad_engine::{HolderName, PartnerName, WorkerId};
use syngrad_proto::syngrad::v1::CredentialRole;

use super::WireError;
use super::field::{partner, text, within, worker_id, wrong};
use crate::limits::MAX_REASON;

/// Somebody, by role and name.
///
/// # Errors
/// [`WireError`] unless the role is one that is given, and the name has a name's form.
pub fn holder(field: &'static str, role: i32, name: &str) -> Result<Holder, WireError> {
    let named = || HolderName::parse(name).map_err(|error| wrong(field, "a holder's name", error));
    match CredentialRole::try_from(role) {
        Ok(CredentialRole::Partner) => partner(field, name).map(Holder::Partner),
        Ok(CredentialRole::Operator) => named().map(Holder::Operator),
        Ok(CredentialRole::Client) => named().map(Holder::Client),
        Ok(CredentialRole::Unspecified) | Err(_) => Err(wrong("role", "partner, operator or client", role)),
    }
}

/// A partner's name.
///
/// # Errors
/// [`WireError`] unless it has a name's form.
pub fn partner_name(field: &'static str, name: &str) -> Result<PartnerName, WireError> {
    partner(field, name)
}

/// Why an operator does something; may be empty.
///
/// # Errors
/// [`WireError`] if it is too long or has control characters.
pub fn reason(field: &'static str, reason: String) -> Result<String, WireError> {
    within(field, reason.len(), 0..=MAX_REASON)?;
    text(field, reason)
}

/// One worker of a partner; none for all.
///
/// # Errors
/// [`WireError`] unless it is absent or has sixteen bytes.
pub fn worker_of(field: &'static str, worker: &[u8]) -> Result<Option<WorkerId>, WireError> {
    match worker {
        [] => Ok(None),
        worker => worker_id(field, worker).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_has_a_role_and_a_name() {
        let of = |role: CredentialRole, name| holder("holder", role.into(), name);
        let name = |name| HolderName::parse(name).expect("a name");
        assert_eq!(of(CredentialRole::Operator, "alice"), Ok(Holder::Operator(name("alice"))));
        assert_eq!(of(CredentialRole::Client, "ward"), Ok(Holder::Client(name("ward"))));
        let partner = PartnerName::parse("hospital-b").expect("a name");
        assert_eq!(of(CredentialRole::Partner, "hospital-b"), Ok(Holder::Partner(partner)));
        for (role, name) in [(0, "a"), (4, "a"), (-1, "a"), (1, ""), (2, "A"), (3, "a b")] {
            assert!(holder("holder", role, name).is_err(), "{role} {name:?}");
        }
    }

    #[test]
    fn a_reason_is_short_and_a_worker_has_sixteen_bytes() {
        assert_eq!(reason("reason", String::new()), Ok(String::new()));
        assert!(reason("reason", "a".repeat(MAX_REASON)).is_ok());
        assert!(reason("reason", "a".repeat(MAX_REASON + 1)).is_err());
        assert_eq!(worker_of("worker", &[]), Ok(None));
        assert_eq!(worker_of("worker", &[7; 16]), Ok(Some(WorkerId([7; 16]))));
        assert!(worker_of("worker", &[7; 15]).is_err());
    }
}
