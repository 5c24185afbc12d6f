use proptest::prelude::*;
use syngrad_engine::receipt::{Contribution, EncodingError, Fingerprint, Record, RefusalCode, Signature, Verdict};
use syngrad_engine::{Digest, LeaseId, PartnerName, Round, Unit, WorkerId};

use crate::world::World;

fn code(number: u16) -> RefusalCode {
    RefusalCode::new(number).expect("a code")
}

fn contribution() -> impl Strategy<Value = Contribution> {
    let verdict = prop_oneof![
        Just(Verdict::Accepted),
        (1u16..9999).prop_map(|number| Verdict::Late(code(number))),
        (1u16..9999).prop_map(|number| Verdict::Duplicate(code(number))),
        (1u16..9999).prop_map(|number| Verdict::Rejected(code(number))),
        Just(Verdict::Audited),
    ];
    let digests = (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 32]>());
    let numbers = (any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    let units = proptest::collection::btree_set((0u32..1024).prop_map(Unit), 0..40);
    ("[a-z][a-z0-9-]{0,63}", verdict, any::<[u8; 16]>(), digests, numbers, units, any::<[u8; 32]>()).prop_map(
        |(partner, verdict, worker, digests, numbers, units, half)| {
            let mut signature = [7; 64];
            signature[..32].copy_from_slice(&half);
            Contribution {
                verdict,
                partner: PartnerName::parse(&partner).expect("the strategy writes names"),
                worker: WorkerId(worker),
                certificate: Fingerprint(digests.0),
                round: Round(numbers.0),
                lease: LeaseId(numbers.1),
                units,
                weight: numbers.2,
                saturated: numbers.3,
                micros: numbers.4,
                params: Digest(digests.1),
                payload: Digest(digests.2),
                payload_bytes: numbers.5,
                signature: Signature(signature),
            }
        },
    )
}

proptest! {
    #[test]
    fn a_contribution_reads_as_it_is_written_and_in_no_other_way(
        contribution in contribution(), at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let bytes = contribution.encode();
        prop_assert_eq!(Contribution::decode(&bytes), Ok(contribution.clone()));
        let mut other = bytes.clone();
        other[at.index(bytes.len())] ^= 1 << bit;
        // Whatever else can be read is written as it was read: no two encodings of one thing.
        if let Ok(read) = Contribution::decode(&other) {
            prop_assert_ne!(&read, &contribution);
            prop_assert_eq!(read.encode(), other);
        }
        for len in 0..bytes.len() {
            prop_assert!(Contribution::decode(&bytes[..len]).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        prop_assert_eq!(Contribution::decode(&longer), Err(EncodingError::Trailing { what: "contribution", extra: 1 }));
    }

    #[test]
    fn anything_else_is_no_record(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(read) = Record::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes.clone());
        }
        if let Ok(read) = Contribution::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }

    #[test]
    fn a_record_reads_as_it_is_written_and_in_no_other_way(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut world = World::new();
        world.round();
        world.publish(0);
        let bytes = world.receipts[0].record.clone();
        let record = Record::decode(&bytes).expect("a record");
        prop_assert_eq!(&record.encode(), &bytes);
        let mut other = bytes.clone();
        other[at.index(bytes.len())] ^= 1 << bit;
        if let Ok(read) = Record::decode(&other) {
            prop_assert_ne!(&read, &record);
            prop_assert_eq!(read.encode(), other);
        }
        for len in 0..bytes.len() {
            prop_assert!(Record::decode(&bytes[..len]).is_err());
        }
        prop_assert!(Record::decode(&[&bytes[..], &[0]].concat()).is_err());
    }
}

#[test]
fn units_in_another_order_or_twice_are_no_units() {
    let mut world = World::new();
    let (contribution, _) = world.contribution(1);
    let bytes = contribution.encode();
    let units: Vec<u8> = [2u32, 2, 3].iter().flat_map(|value| value.to_le_bytes()).collect();
    let at = bytes.windows(units.len()).position(|window| window == units).expect("a count and two units");
    for wrong in [[2u32, 3, 2], [2, 2, 2], [2, 2, 1024], [1025, 2, 3]] {
        let mut bytes = bytes.clone();
        let wrong: Vec<u8> = wrong.iter().flat_map(|value| value.to_le_bytes()).collect();
        bytes[at..at + wrong.len()].copy_from_slice(&wrong);
        assert!(matches!(Contribution::decode(&bytes), Err(EncodingError::Value { part: "units", .. })));
    }
}

#[test]
fn codes_read_as_they_are_written() {
    for number in [1, 302, 1301, 9999] {
        assert_eq!(RefusalCode::parse(&code(number).to_string()), Some(code(number)));
    }
    for wrong in ["E0000", "E13", "E13011", "1301", "E+301", "e1301"] {
        assert_eq!(RefusalCode::parse(wrong), None, "{wrong}");
    }
}
