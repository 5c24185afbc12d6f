//! What a holder has: its key, and what a coordinator granted for it.

use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::UnixTime;
use serde::{Deserialize, Serialize};
use syngrad_engine::principal::{ConsortiumName, Principal};

use super::{Certificate, Identity, IdentityError, KeyKind, PrivateKey, Validity, files, verify};
use crate::transport::Address;

/// The file of the key in a folder of credentials.
const KEY: &str = "key.pem";
/// The file of everything that was granted: replaced whole, so that its parts always belong together.
const GRANT: &str = "credentials.json";
/// The holder's certificate for programs of others, which read PEM. We never read it.
const CERTIFICATE: &str = "certificate.pem";
/// The authorities for programs of others. We never read it.
const AUTHORITIES: &str = "authorities.pem";
/// The form of [`GRANT`].
const FORM: u32 = 1;

/// What a coordinator grants a holder: nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The consortium.
    pub consortium: ConsortiumName,
    /// The holder's certificate, then those that lead to an authority.
    pub chain: Vec<Certificate>,
    /// The certificates of all authorities that are trusted now.
    pub roots: Vec<Certificate>,
    /// Where the coordinator is reached now, best first.
    pub addresses: Vec<Address>,
    /// The certificate of the key that signs receipts.
    pub log: Certificate,
}

/// A key with a grant that fits it.
#[derive(Clone, Debug)]
pub struct Credentials {
    key: PrivateKey,
    grant: Grant,
    identity: Identity,
}

impl Credentials {
    /// `grant` for `key`, if the one fits the other at the time `at`.
    ///
    /// # Errors
    /// [`IdentityError`] unless the certificate is for that key and holds, as the log's does, under the granted roots and
    /// for the granted consortium, and there is an address.
    pub fn new(key: PrivateKey, grant: Grant, at: UnixTime) -> Result<Self, IdentityError> {
        let identity = verify(&grant.chain, &grant.roots, at)?;
        if identity.certificate.key != key.public() {
            return Err(IdentityError::Untrusted { why: "the certificate is for another key".to_owned() });
        }
        identity.expect(&grant.consortium, &identity.principal)?;
        let log = std::slice::from_ref(&grant.log);
        let ways = [log, grant.chain.get(1..).unwrap_or_default()].concat();
        verify(&ways, &grant.roots, at)?.expect(&grant.consortium, &Principal::Log)?;
        if grant.addresses.is_empty() {
            return Err(IdentityError::Untrusted { why: "the grant names no address of the coordinator".to_owned() });
        }
        Ok(Self { key, grant, identity })
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// What was granted.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Who the holder is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// From when to when the certificate is good.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.identity.certificate.validity()
    }
}

/// A folder with the credentials of one holder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// A [`Grant`] as text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    form: u32,
    consortium: String,
    addresses: Vec<String>,
    chain: Vec<String>,
    roots: Vec<String>,
    log: String,
}

impl Folder {
    /// The folder at `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The folder's key. One that is not there yet is made and written first, so that an enrolment whose answer was lost is
    /// made again with the same key.
    ///
    /// # Errors
    /// [`IdentityError`] that names the file; also if the key that is there is of another kind.
    pub fn key(&self, kind: KeyKind) -> Result<PrivateKey, IdentityError> {
        let path = self.0.join(KEY);
        match self.read_key() {
            Ok(key) if key.kind() == Some(kind) => Ok(key),
            Ok(_) => Err(IdentityError::Content { path, why: "the key is of the wrong kind for this role".to_owned() }),
            Err(IdentityError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let key = PrivateKey::generate(kind)?;
                files::write_secret(&path, key.to_pem().as_bytes())?;
                Ok(key)
            }
            Err(error) => Err(error),
        }
    }

    fn read_key(&self) -> Result<PrivateKey, IdentityError> {
        let path = self.0.join(KEY);
        let text = files::read_secret(&path)?;
        PrivateKey::from_pem(text.as_bytes()).map_err(|error| error.in_file(&path))
    }

    /// The credentials in the folder, whether or not they are still good: [`Credentials::validity`] says that.
    ///
    /// # Errors
    /// [`IdentityError::NoCredentials`] if nobody has joined with this folder, else [`IdentityError`] that names the file.
    pub fn load(&self) -> Result<Credentials, IdentityError> {
        let path = self.0.join(GRANT);
        let text = match files::read(&path) {
            Ok(text) => text,
            Err(IdentityError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(IdentityError::NoCredentials { folder: self.0.clone() });
            }
            Err(error) => return Err(error),
        };
        let wrong = |why: String| IdentityError::Content { path: path.clone(), why };
        let written: Written = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        let grant = written.read().map_err(wrong)?;
        let first = grant.chain.first().map(|first| first.summary().not_before);
        let at = first.ok_or_else(|| wrong("there is no certificate in it".to_owned()))?;
        Credentials::new(self.read_key()?, grant, at).map_err(|error| error.in_file(&path))
    }

    /// Writes what was granted; the key is there already.
    ///
    /// # Errors
    /// [`IdentityError`] that names the file.
    pub fn store(&self, credentials: &Credentials) -> Result<(), IdentityError> {
        let Grant { consortium, chain, roots, addresses, log } = &credentials.grant;
        let written = Written {
            form: FORM,
            consortium: consortium.to_string(),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            chain: chain.iter().map(Certificate::to_pem).collect(),
            roots: roots.iter().map(Certificate::to_pem).collect(),
            log: log.to_pem(),
        };
        let text = serde_json::to_vec_pretty(&written).expect("text is JSON");
        files::write_secret(&self.0.join(GRANT), &text)?;
        files::write(&self.0.join(CERTIFICATE), written.chain.concat().as_bytes())?;
        files::write(&self.0.join(AUTHORITIES), written.roots.concat().as_bytes())
    }
}

impl Written {
    fn read(self) -> Result<Grant, String> {
        if self.form != FORM {
            return Err(format!("its form is {}, and this build reads {FORM}", self.form));
        }
        let certificate = |pem: &String| match Certificate::all_from_pem(pem.as_bytes()) {
            Ok(mut all) => Ok(all.remove(0)),
            Err(error) => Err(error.to_string()),
        };
        let address = |text: &String| text.parse().map_err(|error: crate::transport::AddressError| error.to_string());
        Ok(Grant {
            consortium: ConsortiumName::parse(&self.consortium).map_err(|error| error.to_string())?,
            chain: self.chain.iter().map(certificate).collect::<Result<_, _>>()?,
            roots: self.roots.iter().map(certificate).collect::<Result<_, _>>()?,
            addresses: self.addresses.iter().map(address).collect::<Result<_, _>>()?,
            log: certificate(&self.log)?,
        })
    }
}

#[cfg(test)]
mod tests;
