//! Makes certificates and requests for them, with keys that are forgotten: the seeds of the target `identity`, which are
//! in `seeds/` because they are others each time.
#![forbid(unsafe_code)]

use std::str::FromStr as _;
use std::time::Duration;

use syngrad_common::identity::{Authority, CertificateRequest, KeyKind, PrivateKey, UnixTime, Validity};
use syngrad_common::transport::Address;
use syngrad_engine::principal::{ConsortiumName, Principal};
use syngrad_engine::{PartnerName, WorkerId};

fn main() {
    let at = |seconds: u64| UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000 + seconds));
    let consortium = ConsortiumName::parse("hospitals").expect("a name");
    let authority = Authority::create(&consortium, at(0)).expect("random bytes");
    let requests = [KeyKind::EcdsaP256, KeyKind::Ed25519]
        .map(|kind| CertificateRequest::make(&PrivateKey::generate(kind).expect("random bytes")).expect("a good key"));
    for request in &requests {
        println!("{}", request.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
    let [server, worker] = requests.map(|der| CertificateRequest::from_der(&der).expect("it was just made"));
    let validity = Validity { not_before: at(0), not_after: at(86_400) };
    let partner = PartnerName::parse("hospital-b").expect("a name");
    let holder = Principal::Worker { partner, worker: WorkerId([7; 16]) };
    let addresses = [Address::from_str("coordinator.example:443").expect("an address")];
    let server = authority.issue_coordinator(&server, &addresses, validity).expect("a coordinator may have it");
    let worker = authority.issue(&worker, &holder, validity).expect("a worker may have it");
    for certificate in [authority.certificate(), &server, &worker] {
        print!("{}", certificate.to_pem());
    }
}
