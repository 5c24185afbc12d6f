//! How a consortium begins: its authority, its first operator, and the register in which all that follows is written.

use std::path::Path;

use syngrad_common::identity::credentials::{self, Credentials};
use syngrad_common::identity::{Authority, CertificateRequest, KeyKind, UnixTime};
use syngrad_common::transport::Address;
use syngrad_common::{Code, Failure};
use syngrad_engine::consortium::{Audit, Consortium};
use syngrad_engine::principal::Role;
use syngrad_engine::{ConsortiumName, HolderName, Principal};
use syngrad_store::{Folder, Register};

use super::notary::{Notary, authority_id, key_id};
use super::now;

/// The folder of an operator's credentials in a state folder.
pub const OPERATOR: &str = "operator";

/// What a consortium is founded with.
#[derive(Clone, Debug)]
pub struct Founding {
    /// Its name.
    pub name: ConsortiumName,
    /// Where its coordinator is reached, best first.
    pub addresses: Vec<Address>,
    /// The operator who founds it.
    pub operator: HolderName,
    /// The certificate and key, in PEM, of an authority that is there already; a new one is made if absent.
    pub authority: Option<(Vec<u8>, Vec<u8>)>,
}

/// A consortium that was founded.
#[derive(Clone, Debug)]
pub struct Founded {
    /// SHA-256 of its authority's certificate.
    pub authority: String,
    /// The founder's credentials.
    pub operator: credentials::Folder,
}

/// Founds a consortium in the state folder at `path`, which it makes where it is missing. Blocks.
///
/// # Errors
/// [`Failure`] if there is a consortium already, another coordinator has the folder, the authority is none, or something
/// cannot be written. What was written until then is used again the next time.
pub fn found(path: &Path, request: &Founding) -> Result<Founded, Failure> {
    let folder = Folder::open(path)?;
    let mut register = folder.register()?;
    if let Some(found) = register.recall()? {
        let why = format!("the consortium {} was founded in {}", found.founding.name, path.display());
        return Err(Failure::new(Code::AlreadyFounded, why));
    }
    let Founding { name, addresses, operator, authority } = request;
    let authority = match authority {
        Some((certificates, key)) => Authority::from_pem(name, certificates, key)?,
        None => Authority::create(name, UnixTime::now())?,
    };
    let sha256 = authority_id(&authority);
    let notary = Notary::begin(path, authority, addresses.clone(), now())?;
    let operator = register_operator(path, operator, &notary, &mut register, addresses)?;
    Ok(Founded { authority: sha256.to_string(), operator })
}

/// Writes the founder's credentials, and then the register: there is a consortium once that is there.
fn register_operator(
    path: &Path,
    operator: &HolderName,
    notary: &Notary,
    register: &mut Register,
    addresses: &[Address],
) -> Result<credentials::Folder, Failure> {
    let now = now();
    let folder = credentials::Folder::new(&path.join(OPERATOR));
    let key = folder.key(KeyKind::of(Role::Operator))?;
    let request = CertificateRequest::from_der(&CertificateRequest::make(&key)?)?;
    let principal = Principal::Operator(operator.clone());
    let mut consortium = Consortium::default();
    let founding = Consortium::founding(now, authority_id(notary.authority()?));
    consortium.apply(&founding);
    let permit =
        consortium.first_operator(now, principal.clone(), key_id(&request)).map_err(|why| Failure::from(&why))?;
    let (grant, issued) = notary.issue(&request, &principal, now)?;
    let enrolled = consortium.certified(permit, issued).map_err(|why| Failure::from(&why))?;
    folder.store(&Credentials::new(key, grant, UnixTime::now())?)?;
    let mut audit = Audit::default();
    let who = principal.uri(notary.name());
    let mut steps = Vec::new();
    for change in [founding, enrolled] {
        let entry = change.act.as_ref().map(|act| audit.next(now, &who, act, "coordinator init"));
        entry.iter().for_each(|entry| audit.take(entry).expect("it was made to be the next one"));
        steps.push((change, entry));
    }
    let addresses = addresses.iter().map(ToString::to_string).collect();
    register.found(&syngrad_store::Founding { name: notary.name().clone(), addresses }, &steps)?;
    Ok(folder)
}
