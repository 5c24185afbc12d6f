//! Callers that are not let in: every kind, over a raw connection, with honest traffic beside it.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion};
use syngrad_common::identity::certificate::Named;
use syngrad_common::identity::testing::{
    CLIENT_USAGE, Consortium, Forgery, SERVER_USAGE, client, days, key, operator, worker,
};
use syngrad_common::identity::{Authority, CertificateSummary, KeyKind, PrivateKey, Serial, UnixTime, Validity};
use syngrad_common::transport::{AcceptLimits, Standing};
use syngrad_common::{Code, Failure};
use syngrad_engine::Principal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

use crate::service::{Asking, Server};

/// Believes every server: a caller with bad intentions does not care whom it talks to.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Bars certificates by number, and holders by name.
#[derive(Debug)]
struct Bars {
    serials: BTreeSet<Serial>,
    holders: BTreeSet<Principal>,
    version: watch::Sender<u64>,
}

impl Standing for Bars {
    fn check(&self, who: &Principal, certificate: &CertificateSummary) -> Result<(), Failure> {
        match self.holders.contains(who) || self.serials.contains(&certificate.serial) {
            true => Err(Failure::new(Code::CredentialsRefused, "barred")),
            false => Ok(()),
        }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}

/// What a caller brings.
struct Brings {
    version: &'static SupportedProtocolVersion,
    alpn: &'static [&'static [u8]],
    shows: Option<(Vec<Vec<u8>>, PrivateKey)>,
}

impl Brings {
    fn certificates(chain: Vec<Vec<u8>>, key: &PrivateKey) -> Self {
        Self { version: &rustls::version::TLS13, alpn: &[b"h2"], shows: Some((chain, key.clone())) }
    }

    fn config(&self) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(&[self.version]).expect("versions that rustls has");
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody));
        let mut config = match &self.shows {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = chain.iter().cloned().map(CertificateDer::from).collect();
                let der = PrivateKeyDer::try_from(pkcs8(key)).expect("a key in PKCS #8");
                let key = ring::sign::any_supported_type(&der).expect("a key of ours");
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))))
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }
}

fn pkcs8(key: &PrivateKey) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject as _;
    let der = rustls::pki_types::PrivatePkcs8KeyDer::from_pem_slice(key.to_pem().as_bytes()).expect("its own text");
    der.secret_pkcs8_der().to_vec()
}

/// The beginning of HTTP/2, and of a request.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Connects, says the beginning of HTTP/2, and listens: how it ended, and how many bytes the server said to it inside TLS.
async fn try_it(server: &Server, brings: &Brings) -> (io::Result<()>, usize) {
    let stream = TcpStream::connect(server.socket).await.expect("it listens");
    let name = ServerName::try_from("syngrad-coordinator").expect("a name");
    let mut heard = 0;
    let ended = async {
        let mut stream = TlsConnector::from(Arc::new(brings.config())).connect(name, stream).await?;
        stream.write_all(PREFACE).await?;
        // The settings of HTTP/2, if it was let in.
        heard = stream.read(&mut [0; 1024]).await?;
        Ok(())
    };
    (ended.await, heard)
}

/// Certificates of one consortium that must not open a door, each with what is wrong with it.
struct Bad {
    consortium: Consortium,
    key: PrivateKey,
    table: Vec<(&'static str, Brings)>,
}

impl Bad {
    fn forged(&mut self, what: &'static str, change: impl FnOnce(&mut Forgery)) {
        let uri = worker("a", 1).uri(self.consortium.authority.consortium());
        let mut forgery = Forgery::of(&uri, self.consortium.now);
        change(&mut forgery);
        let certificate = forgery.sign(&self.consortium.authority, &self.key);
        self.add(what, vec![certificate.der().to_vec()]);
    }

    fn named(&mut self, what: &'static str, uri: &str) {
        self.forged(what, |forgery| forgery.names = vec![Named::Uri(uri.to_owned())]);
    }

    fn add(&mut self, what: &'static str, chain: Vec<Vec<u8>>) {
        self.table.push((what, Brings::certificates(chain, &self.key)));
    }
}

fn by_form(bad: &mut Bad) {
    let now = bad.consortium.now;
    let at = |from, to| Validity { not_before: days(now, from), not_after: days(now, to) };
    bad.forged("expired", |forgery| forgery.validity = at(-3, -1));
    bad.forged("not yet valid", |forgery| forgery.validity = at(1, 3));
    bad.forged("ends before it begins", |forgery| forgery.validity = at(3, 1));
    bad.forged("for servers", |forgery| forgery.usages = vec![SERVER_USAGE]);
    bad.forged("for servers and clients", |forgery| forgery.usages = vec![CLIENT_USAGE, SERVER_USAGE]);
    bad.forged("for signing documents", |forgery| forgery.usages = vec!["1.3.6.1.5.5.7.3.36"]);
    bad.forged("for nothing", |forgery| forgery.usages = vec![]);
    bad.forged("names nobody", |forgery| forgery.names = vec![]);
    bad.forged("names a host only", |forgery| forgery.names = vec![Named::Dns("hospital-a.example.org".to_owned())]);
    bad.forged("names one twice", |forgery| forgery.names.push(forgery.names[0].clone()));
    let other = operator("alice").uri(bad.consortium.authority.consortium());
    bad.forged("names two", |forgery| forgery.names.push(Named::Uri(other)));
    bad.forged("names a host beside", |forgery| forgery.names.push(Named::Dns("localhost".to_owned())));
    bad.forged("names a mail beside", |forgery| forgery.names.push(Named::Other));
    bad.named("of another consortium", "spiffe://banks/operator/alice");
    bad.named("the coordinator's name", "spiffe://hospitals/coordinator");
    bad.named("the log's name", "spiffe://hospitals/log");
    bad.named("a role that is none", "spiffe://hospitals/admin/alice");
    bad.named("a worker without an identity", "spiffe://hospitals/partner/a");
    bad.named("in capitals", "SPIFFE://hospitals/operator/alice");
    bad.named("with more behind", "spiffe://hospitals/operator/alice/root");
    bad.named("another scheme", "https://hospitals/operator/alice");
    bad.named("with a port", "spiffe://hospitals:1/operator/alice");
    bad.named("too long", &format!("spiffe://hospitals/operator/{}", "a".repeat(300)));
    bad.named("empty", "");
}

fn by_issuer(bad: &mut Bad) {
    let now = bad.consortium.now;
    let name = bad.consortium.authority.consortium().clone();
    let honest = Forgery::of(&worker("a", 1).uri(&name), now);
    let stranger = Authority::create(&name, now).expect("random bytes");
    let by_stranger = honest.sign(&stranger, &bad.key).der().to_vec();
    bad.add("another authority", vec![by_stranger.clone()]);
    bad.add("another authority, brought along", vec![by_stranger, stranger.certificate().der().to_vec()]);
    let own = bad.consortium.roots[0].der().to_vec();
    bad.add("the authority's own certificate", vec![own.clone()]);
    let good = bad.consortium.certify(&bad.key, &worker("a", 1)).expect("a certificate").der().to_vec();
    bad.add("a worker's with the authority first", vec![own, good.clone()]);
    let mut tampered = good.clone();
    *tampered.last_mut().expect("a signature") ^= 1;
    bad.add("a changed signature", vec![tampered]);
    let place = good.windows(8).position(|window| window == b"spiffe:/").expect("a name");
    let mut tampered = good.clone();
    tampered[place + "spiffe://hospitals/partner/".len()] = b'b';
    bad.add("a changed name", vec![tampered]);
    bad.add("half a certificate", vec![good[..good.len() / 2].to_vec()]);
    bad.add("no certificate at all", vec![vec![0x30, 0]]);
    // A worker that plays authority for somebody else.
    let mallory = key(KeyKind::EcdsaP256);
    let hers = bad.consortium.certify(&mallory, &operator("mallory")).expect("a certificate");
    let pem = (bad.consortium.roots[0].to_pem(), mallory.to_pem());
    assert!(Authority::from_pem(&name, pem.0.as_bytes(), pem.1.as_bytes()).is_err(), "she is no authority");
    let posing = Authority::posing(hers.clone(), mallory, &name);
    let forged = honest.sign(&posing, &bad.key).der().to_vec();
    bad.add("issued by a holder", vec![forged, hers.der().to_vec()]);
    // Somebody else's certificate, without the key.
    let other = bad.consortium.certify(&key(KeyKind::Ed25519), &worker("b", 1)).expect("a certificate");
    bad.add("another's certificate", vec![other.der().to_vec()]);
    // The coordinator's and the log's own, by whoever got hold of their keys.
    let coordinator = key(KeyKind::EcdsaP256);
    let theirs = bad.consortium.certify(&coordinator, &Principal::Coordinator).expect("a certificate");
    bad.table.push(("the coordinator's", Brings::certificates(vec![theirs.der().to_vec()], &coordinator)));
    let log = (bad.consortium.log().der().to_vec(), bad.consortium.log_key().clone());
    bad.table.push(("the log's", Brings::certificates(vec![log.0], &log.1)));
}

fn by_protocol(bad: &mut Bad) {
    let anonymous = |version, alpn| Brings { version, alpn, shows: None };
    bad.table.push(("TLS 1.2", anonymous(&rustls::version::TLS12, &[b"h2"])));
    bad.table.push(("HTTP/1.1", anonymous(&rustls::version::TLS13, &[b"http/1.1"])));
    bad.table.push(("no protocol named", anonymous(&rustls::version::TLS13, &[])));
}

/// What is no TLS at all.
const PLAIN: [(&str, &[u8]); 5] = [
    ("plain HTTP/2", PREFACE),
    ("plain HTTP/1", b"POST /syngrad.v1.EnrolmentService/Enrol HTTP/1.1\r\nhost: x\r\n\r\n"),
    ("noise", &[0xff; 4096]),
    ("SSL 2", &[0x80, 0x2e, 1, 0, 2]),
    ("an oversized record", &[0x16, 3, 1, 0xff, 0xff, 1, 0, 0, 0]),
];

#[tokio::test]
async fn nobody_with_bad_credentials_is_heard() {
    let consortium = Consortium::new("hospitals");
    let mut bad = Bad { consortium: consortium.clone(), key: key(KeyKind::Ed25519), table: Vec::new() };
    by_form(&mut bad);
    by_issuer(&mut bad);
    by_protocol(&mut bad);
    let revoked = consortium.certify(&bad.key, &worker("a", 2)).expect("a certificate");
    bad.add("revoked", vec![revoked.der().to_vec()]);
    let suspended = consortium.certify(&bad.key, &worker("c", 1)).expect("a certificate");
    bad.add("suspended", vec![suspended.der().to_vec()]);
    let bars = Bars {
        serials: BTreeSet::from([revoked.summary().serial.clone()]),
        holders: BTreeSet::from([worker("c", 1)]),
        version: watch::Sender::new(0),
    };
    let server = Server::start_with(&consortium, Arc::new(bars), AcceptLimits::default()).await;
    let honest = consortium.credentials(&worker("honest", 1));
    let mut honest = Asking::holding(&server.address, honest).await.expect("it is let in");
    let mut answered = 0;
    for (what, brings) in &bad.table {
        let (ended, heard) = try_it(&server, brings).await;
        assert_eq!(heard, 0, "{what} was let in");
        assert!(ended.is_err(), "{what} learns that it is refused");
        honest.ask().await.expect("an answer");
        answered += 1;
        assert_eq!(server.seen.requests(), answered, "nothing of {what} was read");
    }
    for (what, bytes) in PLAIN {
        let mut stream = TcpStream::connect(server.socket).await.expect("it listens");
        stream.write_all(bytes).await.expect("it is read");
        let mut answer = Vec::new();
        // Either a TLS alert and the end, or the end alone.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer[0] == 0x15, "{what}: {answer:?}");
        honest.ask().await.expect("an answer");
        answered += 1;
        assert_eq!(server.seen.requests(), answered, "nothing of {what} was read");
    }
    assert!(bad.table.len() + PLAIN.len() >= 40, "{} kinds", bad.table.len() + PLAIN.len());
    assert_eq!(server.counts().failed as usize, bad.table.len() + PLAIN.len());
}

#[tokio::test]
async fn the_same_caller_with_good_credentials_is_heard() {
    let consortium = Consortium::new("hospitals");
    let server = Server::start(&consortium).await;
    let key = key(KeyKind::Ed25519);
    for holder in [worker("a", 1), client("ward-7")] {
        let certificate = consortium.certify(&key, &holder).expect("a certificate");
        let brings = Brings::certificates(vec![certificate.der().to_vec()], &key);
        let (ended, heard) = try_it(&server, &brings).await;
        assert!(ended.is_ok() && heard > 0, "{ended:?}");
    }
    let anonymous = Brings { version: &rustls::version::TLS13, alpn: &[b"h2"], shows: None };
    let (ended, heard) = try_it(&server, &anonymous).await;
    assert!(ended.is_ok() && heard > 0, "{ended:?}");
}
