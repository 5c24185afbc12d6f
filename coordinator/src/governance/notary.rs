//! Certificates in the name of the consortium. Its keys lie in the state folder:
//!
//! ```text
//!   authorities/SHA256/    an authority: authority.pem, authority.key, cross.pem
//!   log/                   the key that signs receipts, and its certificate: key.pem, certificate.pem
//!   operator/              credentials of the operator who founded the consortium
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use syngrad_common::Failure;
use syngrad_common::identity::{
    Authority, Certificate, CertificateRequest, Grant, KeyKind, PrivateKey, Sha256, SigningKey, UnixTime, Validity,
    files, life, verify,
};
use syngrad_common::transport::{Address, ServerCredentials};
use syngrad_engine::consortium::{AuthorityId, Consortium, Issued, KeyId, Moment, Serial};
use syngrad_engine::principal::Role;
use syngrad_engine::{ConsortiumName, Principal};

use crate::receipts::LogKey;

const AUTHORITIES: &str = "authorities";
const LOG: &str = "log";
const KEY: &str = "key.pem";
const CERTIFICATE: &str = "certificate.pem";

/// Which authority a certificate is of.
pub(super) fn authority_id(authority: &Authority) -> AuthorityId {
    AuthorityId(authority.certificate().sha256().0)
}

/// Which key a certificate request is for.
pub(super) fn key_id(request: &CertificateRequest) -> KeyId {
    KeyId(Sha256::of(&request.key()).0)
}

fn unix_time(now: Moment) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(now.0))
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Notary {
    folder: PathBuf,
    name: ConsortiumName,
    addresses: Vec<Address>,
    /// Those that are trusted.
    authorities: BTreeMap<AuthorityId, Authority>,
    signing: AuthorityId,
    log_key: PrivateKey,
    log: Certificate,
}

impl Notary {
    /// Begins in `folder` with `authority`. What is there of an attempt that did not come to its end is used again.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub(super) fn begin(
        folder: &Path,
        authority: Authority,
        addresses: Vec<Address>,
        now: Moment,
    ) -> Result<Self, Failure> {
        let id = authority_id(&authority);
        authority.store(&folder.join(AUTHORITIES).join(id.to_string()))?;
        let key_file = folder.join(LOG).join(KEY);
        let log_key = match key_file.exists() {
            true => read_key(&key_file)?,
            false => {
                let key = PrivateKey::generate(KeyKind::of(Role::Log))?;
                files::write_secret(&key_file, key.to_pem().as_bytes())?;
                key
            }
        };
        let log = certify_log(&authority, &log_key, now)?;
        files::write(&folder.join(LOG).join(CERTIFICATE), log.to_pem().as_bytes())?;
        let name = authority.consortium().clone();
        let authorities = BTreeMap::from([(id, authority)]);
        Ok(Self { folder: folder.to_owned(), name, addresses, authorities, signing: id, log_key, log })
    }

    /// The notary of a consortium that was founded in `folder`.
    ///
    /// # Errors
    /// If a file of an authority that is trusted, or the log's, cannot be read.
    pub(crate) fn open(
        folder: &Path,
        name: &ConsortiumName,
        addresses: Vec<Address>,
        consortium: &Consortium,
        now: Moment,
    ) -> Result<Self, Failure> {
        let trusted = consortium.trusted();
        let signing = trusted.first().map(|authority| authority.id).unwrap_or_default();
        let mut authorities = BTreeMap::new();
        for authority in &trusted {
            let found = Authority::load(&folder.join(AUTHORITIES).join(authority.id.to_string()), name)?;
            authorities.insert(authority.id, found);
        }
        let log_key = read_key(&folder.join(LOG).join(KEY))?;
        let authority = authorities.get(&signing).ok_or_else(|| no_authority(signing))?;
        let log = log_certificate(folder, authority, &log_key, now)?;
        Ok(Self { folder: folder.to_owned(), name: name.clone(), addresses, authorities, signing, log_key, log })
    }

    /// The consortium.
    pub(crate) fn name(&self) -> &ConsortiumName {
        &self.name
    }

    /// Where the coordinator is reached, best first.
    pub(crate) fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The key that signs receipts, and the certificates that speak for it.
    ///
    /// # Errors
    /// If the key is of the wrong kind.
    pub(super) fn log(&self) -> Result<LogKey, Failure> {
        let der = |of: &Certificate| of.der().to_vec();
        let cross = self.authority()?.cross().iter().map(der);
        Ok(LogKey {
            key: SigningKey::new(&self.log_key)?,
            chain: std::iter::once(der(&self.log)).chain(cross).collect(),
            roots: self.authorities.values().map(|of| der(of.certificate())).collect(),
        })
    }

    /// The authority that signs.
    pub(crate) fn authority(&self) -> Result<&Authority, Failure> {
        self.authorities.get(&self.signing).ok_or_else(|| no_authority(self.signing))
    }

    /// The certificates of all authorities that are trusted, the one that signs first.
    pub(crate) fn roots(&self) -> Vec<Certificate> {
        let signing = self.authorities.get(&self.signing).into_iter();
        let others = self.authorities.iter().filter(|(id, _)| **id != self.signing).map(|(_, authority)| authority);
        signing.chain(others).map(|authority| authority.certificate().clone()).collect()
    }

    /// A new key and certificate of the coordinator itself.
    pub(super) fn server(&self, now: Moment) -> Result<ServerCredentials, Failure> {
        ServerCredentials::issue(self.authority()?, &self.roots(), &self.addresses, unix_time(now))
    }

    /// A certificate for the key of `request`, in the name of `principal`.
    ///
    /// # Errors
    /// If the request asks for another name, or its key is of the wrong kind.
    pub(super) fn issue(
        &self,
        request: &CertificateRequest,
        principal: &Principal,
        now: Moment,
    ) -> Result<(Grant, Issued), Failure> {
        let authority = self.authority()?;
        let validity = Validity::from_now(unix_time(now), life(principal.role()));
        let certificate = authority.issue(request, principal, validity)?;
        let summary = certificate.summary();
        let issued = Issued {
            serial: Serial::from_digits(&summary.serial.0).expect("numbers of ours have sixteen digits"),
            authority: self.signing,
            not_after: Moment(summary.not_after.as_secs()),
        };
        let mut chain = vec![certificate.clone()];
        chain.extend(authority.cross().iter().cloned());
        let grant = Grant {
            consortium: self.name.clone(),
            chain,
            roots: self.roots(),
            addresses: self.addresses.clone(),
            log: self.log.clone(),
        };
        Ok((grant, issued))
    }

    /// The authority that would follow, on disk already: it counts once that is decided.
    ///
    /// # Errors
    /// If it cannot be made or written.
    pub(super) fn successor(&self, now: Moment) -> Result<Authority, Failure> {
        let next = self.authority()?.successor(unix_time(now))?;
        next.store(&self.folder.join(AUTHORITIES).join(authority_id(&next).to_string()))?;
        Ok(next)
    }

    /// Signs with `next` from now on.
    ///
    /// # Errors
    /// If the log's new certificate cannot be written.
    pub(super) fn follow(&mut self, next: Authority, now: Moment) -> Result<(), Failure> {
        self.signing = authority_id(&next);
        self.log = certify_log(&next, &self.log_key, now)?;
        self.authorities.insert(self.signing, next);
        files::write(&self.folder.join(LOG).join(CERTIFICATE), self.log.to_pem().as_bytes())?;
        Ok(())
    }

    /// Keeps no authority but those that are trusted. Their files stay: receipts of their time lead to them.
    pub(super) fn forget_retired(&mut self, consortium: &Consortium) {
        let trusted = consortium.trusted();
        self.authorities.retain(|id, _| trusted.iter().any(|authority| authority.id == *id));
    }
}

/// The log's certificate; a new one if that on disk is not of the authority that signs.
fn log_certificate(
    folder: &Path,
    authority: &Authority,
    key: &PrivateKey,
    now: Moment,
) -> Result<Certificate, Failure> {
    let path = folder.join(LOG).join(CERTIFICATE);
    let roots = [authority.certificate().clone()];
    let found = files::read(&path).and_then(|text| Certificate::all_from_pem(&text)).ok();
    let found = found.filter(|chain| {
        verify(chain, &roots, unix_time(now)).is_ok_and(|identity| identity.certificate.key == key.public())
    });
    if let Some(found) = found.and_then(|chain| chain.into_iter().next()) {
        return Ok(found);
    }
    let log = certify_log(authority, key, now)?;
    files::write(&path, log.to_pem().as_bytes())?;
    Ok(log)
}

fn certify_log(authority: &Authority, key: &PrivateKey, now: Moment) -> Result<Certificate, Failure> {
    let request = CertificateRequest::from_der(&CertificateRequest::make(key)?)?;
    Ok(authority.issue(&request, &Principal::Log, Validity::from_now(unix_time(now), life(Role::Log)))?)
}

fn read_key(path: &Path) -> Result<PrivateKey, Failure> {
    let text = files::read_secret(path)?;
    Ok(PrivateKey::from_pem(text.as_bytes()).map_err(|error| error.in_file(path))?)
}

fn no_authority(id: AuthorityId) -> Failure {
    let why = format!("the state names the authority {id}, whose files are not in its folder {AUTHORITIES}");
    Failure::new(syngrad_common::Code::StateDamaged, why)
}
