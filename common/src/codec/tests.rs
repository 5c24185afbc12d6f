use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Cuts `payload` behind each of `cuts`, wherever that falls.
fn cut(payload: &Bytes, cuts: &[usize]) -> Vec<Bytes> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (payload.len() + 1)).chain([payload.len()]).collect();
    ends.sort_unstable();
    let mut start = 0;
    let mut pieces = Vec::new();
    for end in ends {
        if end > start {
            pieces.push(payload.slice(start..end));
            start = end;
        }
    }
    pieces
}

fn expecting(payload: &Bytes) -> Assembler {
    let digest = Digest::of(Domain::Update, payload);
    Assembler::new(Domain::Update, digest, payload.len() as u64, 1 << 20).expect("within the limit")
}

proptest! {
    #[test]
    fn any_cut_of_a_payload_assembles(payload in vec(any::<u8>(), 1..2000), cuts in vec(any::<usize>(), 0..6)) {
        let payload = Bytes::from(payload);
        let mut assembler = expecting(&payload);
        for piece in cut(&payload, &cuts) {
            prop_assert!(!assembler.is_complete());
            prop_assert_eq!(assembler.push(piece), Ok(()));
        }
        prop_assert!(assembler.is_complete());
        prop_assert_eq!(assembler.finish(), Ok(payload));
    }

    #[test]
    fn any_cut_of_params_assembles_into_used_memory(
        bits in vec(any::<u32>(), 1..500),
        cuts in vec(any::<usize>(), 0..6),
        memory in vec(any::<f32>(), 0..600),
    ) {
        let params: Vec<f32> = bits.iter().map(|&bits| f32::from_bits(bits)).collect();
        let (payload, digest) = (params_to_bytes(Arc::new(params.clone())), Digest::of_params(&params));
        let mut assembler = ParamsAssembler::new(memory, params.len(), digest, payload.len() as u64).expect("the size");
        for piece in cut(&payload, &cuts) {
            prop_assert_eq!(assembler.push(&piece), Ok(()));
        }
        let found: Vec<u32> = assembler.finish().expect("the digest").iter().map(|value| value.to_bits()).collect();
        prop_assert_eq!(found, bits);
    }

    #[test]
    fn a_changed_bit_is_found(payload in vec(any::<u8>(), 1..500), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut changed = payload.clone();
        changed[at.index(payload.len())] ^= 1u8 << bit;
        let mut assembler = expecting(&payload.into());
        prop_assert_eq!(assembler.push(changed.into()), Ok(()));
        let refused = matches!(assembler.finish(), Err(CodecError::WrongDigest { .. }));
        prop_assert!(refused);
    }
}

#[test]
fn frames_are_as_large_as_may_be_and_share_the_payload() {
    let payload = Bytes::from(vec![3; 2 * MAX_FRAME + 1]);
    let frames: Vec<Bytes> = frames(&payload).collect();
    assert_eq!(frames.iter().map(Bytes::len).collect::<Vec<_>>(), [MAX_FRAME, MAX_FRAME, 1]);
    assert!(frames.iter().all(|frame| payload.as_ptr_range().contains(&frame.as_ptr())));
}

#[test]
fn a_payload_of_one_frame_is_not_copied() {
    let payload = Bytes::from(vec![5; 100]);
    let mut assembler = expecting(&payload);
    assembler.push(payload.clone()).expect("a frame");
    assert_eq!(assembler.finish().expect("complete").as_ptr(), payload.as_ptr());
}

#[test]
fn too_much_too_little_and_nothing_are_refused() {
    let payload = Bytes::from_static(b"four");
    let overrun = Err(CodecError::Overrun { expected: 4, found: 5 });
    assert_eq!(expecting(&payload).push(Bytes::from_static(b"fives")), overrun);

    let mut assembler = expecting(&payload);
    assembler.push(Bytes::from_static(b"fou")).expect("a part");
    assert_eq!(assembler.finish(), Err(CodecError::Underrun { expected: 4, found: 3 }));

    let mut assembler = expecting(&payload);
    assert_eq!(assembler.push(Bytes::new()), Err(CodecError::EmptyFrame { at: 0, expected: 4 }));
    let large = Bytes::from(vec![0; MAX_FRAME + 1]);
    assert_eq!(assembler.push(large), Err(CodecError::FrameTooLarge { found: MAX_FRAME + 1 }));
}

#[test]
fn an_oversize_announcement_is_refused_before_memory_is_taken() {
    let digest = Digest::default();
    let refused = Assembler::new(Domain::Update, digest, u64::MAX, 1 << 20).expect_err("over the limit");
    assert_eq!(refused, CodecError::Oversize { most: 1 << 20, found: u64::MAX });
    let refused = ParamsAssembler::new(Vec::new(), 2, digest, 1 << 40).expect_err("not the size of two params");
    assert_eq!(refused, CodecError::WrongSize { expected: 8, found: 1 << 40 });
}
