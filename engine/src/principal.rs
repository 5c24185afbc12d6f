//! Who somebody is, as a certificate says it.
//!
//! A name has the form of a SPIFFE ID (<https://spiffe.io/docs/latest/spiffe-about/spiffe-concepts/>), with the
//! consortium as its trust domain:
//!
//! ```text
//! spiffe://hospitals/coordinator                                            the coordinator
//! spiffe://hospitals/log                                                    the key that signs receipts
//! spiffe://hospitals/partner/hospital-b/worker/12345678-9abc-def0-…         a worker of a partner
//! spiffe://hospitals/operator/alice                                         who governs
//! spiffe://hospitals/client/ward-7                                          who asks for predictions
//! ```

use std::fmt;

use thiserror::Error;

use crate::id::{PartnerName, WorkerId};

/// What every name begins with.
const SCHEME: &str = "spiffe://";

/// Defines a name with the form of a partner's: 1 to 64 of `a-z`, `0-9`, `-`, beginning with a letter.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(PartnerName);

        impl $name {
            /// Parses a name: 1 to 64 of `a-z`, `0-9`, `-`, beginning with a letter.
            ///
            /// # Errors
            /// [`NameError`] unless the text has this form.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let wrong = |_| NameError { text: text.chars().take(PartnerName::MAX_LEN).collect() };
                PartnerName::parse(text).map(Self).map_err(wrong)
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

name! {
    /// The organisations that train together, and the authority that they trust: the trust domain of all names.
    ConsortiumName
}
name! {
    /// An operator or a client.
    HolderName
}

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the name {text:?} is not 1 to {max} of a-z, 0-9 and '-', beginning with a letter", max = PartnerName::MAX_LEN)]
pub struct NameError {
    text: String,
}

/// What a certificate is for; decides which calls are open to its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The coordinator itself.
    Coordinator,
    /// The coordinator's log of receipts, which never opens a connection.
    Log,
    /// A worker of a partner.
    Partner,
    /// Somebody who governs.
    Operator,
    /// Somebody who asks for predictions.
    Client,
}

/// Somebody with a certificate of the consortium.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// The coordinator.
    Coordinator,
    /// The key that signs receipts.
    Log,
    /// A worker.
    Worker {
        /// Its partner.
        partner: PartnerName,
        /// Its identity.
        worker: WorkerId,
    },
    /// An operator.
    Operator(HolderName),
    /// A client.
    Client(HolderName),
}

/// Why a text names nobody of a consortium.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{text:?} is no name of a consortium: it has the form spiffe://CONSORTIUM/ROLE, where ROLE is coordinator, log, \
     partner/NAME/worker/UUID, operator/NAME or client/NAME"
)]
pub struct PrincipalError {
    text: String,
}

impl Principal {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 256;

    /// What its certificate is for.
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::Coordinator => Role::Coordinator,
            Self::Log => Role::Log,
            Self::Worker { .. } => Role::Partner,
            Self::Operator(_) => Role::Operator,
            Self::Client(_) => Role::Client,
        }
    }

    /// Its name in `consortium`.
    #[must_use]
    pub fn uri(&self, consortium: &ConsortiumName) -> String {
        format!("{SCHEME}{consortium}/{self}")
    }

    /// Reads what [`uri`](Self::uri) writes, and nothing else: no other spelling of a name is that name.
    ///
    /// # Errors
    /// [`PrincipalError`] unless the text has one of the forms that the module documents.
    pub fn parse_uri(text: &str) -> Result<(ConsortiumName, Self), PrincipalError> {
        let wrong = || PrincipalError { text: text.chars().take(Self::MAX_LEN).collect() };
        let rest = text.strip_prefix(SCHEME).filter(|_| text.len() <= Self::MAX_LEN).ok_or_else(wrong)?;
        let (consortium, path) = rest.split_once('/').ok_or_else(wrong)?;
        let consortium = ConsortiumName::parse(consortium).map_err(|_| wrong())?;
        Ok((consortium, Self::parse(path).map_err(|_| wrong())?))
    }

    /// Reads what `Display` writes, and nothing else: the name without its consortium.
    ///
    /// # Errors
    /// [`PrincipalError`] unless the text has one of the forms that the module documents.
    pub fn parse(path: &str) -> Result<Self, PrincipalError> {
        let wrong = || PrincipalError { text: path.chars().take(Self::MAX_LEN).collect() };
        let holder = |name: &str| HolderName::parse(name).map_err(|_| wrong());
        match path.split('/').collect::<Vec<_>>().as_slice() {
            ["coordinator"] => Ok(Self::Coordinator),
            ["log"] => Ok(Self::Log),
            ["partner", partner, "worker", worker] => Ok(Self::Worker {
                partner: PartnerName::parse(partner).map_err(|_| wrong())?,
                worker: WorkerId::parse(worker).ok_or_else(wrong)?,
            }),
            ["operator", name] => holder(name).map(Self::Operator),
            ["client", name] => holder(name).map(Self::Client),
            _ => Err(wrong()),
        }
    }
}

/// The name without its consortium.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coordinator => f.write_str("coordinator"),
            Self::Log => f.write_str("log"),
            Self::Worker { partner, worker } => write!(f, "partner/{partner}/worker/{worker}"),
            Self::Operator(name) => write!(f, "operator/{name}"),
            Self::Client(name) => write!(f, "client/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everyone() -> Vec<Principal> {
        let holder = |name| HolderName::parse(name).expect("a name");
        vec![
            Principal::Coordinator,
            Principal::Log,
            Principal::Worker { partner: PartnerName::parse("hospital-b").expect("a name"), worker: WorkerId([7; 16]) },
            Principal::Operator(holder("alice")),
            Principal::Client(holder("ward-7")),
        ]
    }

    #[test]
    fn names_read_as_they_are_written() {
        let consortium = ConsortiumName::parse("hospitals").expect("a name");
        for principal in everyone() {
            let uri = principal.uri(&consortium);
            assert_eq!(Principal::parse_uri(&uri), Ok((consortium.clone(), principal)), "{uri}");
        }
    }

    #[test]
    fn no_other_spelling_is_a_name() {
        let worker = "07070707-0707-0707-0707-070707070707";
        let wrong = [
            String::new(),
            "https://hospitals/coordinator".to_owned(),
            "spiffe://hospitals".to_owned(),
            "spiffe://hospitals/".to_owned(),
            "spiffe:///coordinator".to_owned(),
            "spiffe://Hospitals/coordinator".to_owned(),
            "SPIFFE://hospitals/coordinator".to_owned(),
            "spiffe://hospitals/coordinator/".to_owned(),
            "spiffe://hospitals//coordinator".to_owned(),
            "spiffe://hospitals/coordinator?x".to_owned(),
            "spiffe://hospitals:1/coordinator".to_owned(),
            "spiffe://hospitals/operator".to_owned(),
            "spiffe://hospitals/operator/a/b".to_owned(),
            "spiffe://hospitals/partner/a".to_owned(),
            format!("spiffe://hospitals/partner/A/worker/{worker}"),
            format!("spiffe://hospitals/partner/a/worker/{}", worker.replace('-', "")),
            "spiffe://hospitals/partner/a/worker/0707070A-0707-0707-0707-070707070707".to_owned(),
            format!("spiffe://hospitals/partner/a/worker/{worker}/x"),
            format!("spiffe://hospitals/operator/{}", "a".repeat(300)),
        ];
        for text in wrong {
            assert!(Principal::parse_uri(&text).is_err(), "{text:?} must be refused");
        }
    }
}
