//! Payloads in frames: whatever the announcement says and wherever the cuts are, what comes out is what went in and what
//! was announced, or there is an error.

use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use syngrad_common::codec::{Assembler, CodecError, ParamsAssembler, frames, params_to_bytes};
use syngrad_common::limits::MAX_FRAME;
use syngrad_engine::Digest;
use syngrad_engine::digest::Domain;

/// The most frames of an input.
const MOST_FRAMES: usize = 64;

/// Reads an announcement and frames, and puts them together in both ways.
pub fn check(data: &[u8]) {
    // Bytes that are no whole input are no input.
    let _ = attempt(&mut Unstructured::new(data));
}

fn attempt(input: &mut Unstructured<'_>) -> Result<()> {
    // One frame may be as large as frames get, or a byte beside that; its bytes are all the same.
    let large = if input.ratio(1, 16)? { input.int_in_range(0..=MOST_FRAMES)? } else { MOST_FRAMES };
    let (size_differs, digest_differs) = (input.ratio(1, 4)?, input.ratio(1, 4)?);
    let most = u64::from(input.arbitrary::<u16>()?);
    let mut cut = Vec::new();
    for number in 0..input.int_in_range(0..=MOST_FRAMES)? {
        let len = match number == large {
            true => input.int_in_range(MAX_FRAME - 1..=MAX_FRAME + 1)?,
            false => usize::from(input.arbitrary::<u8>()?),
        };
        let fill = input.arbitrary::<u8>()?;
        cut.push(Bytes::from(vec![fill; len]));
    }
    let whole = cut.concat();
    let size = if size_differs { input.arbitrary()? } else { whole.len() as u64 };
    let digest = |domain| match digest_differs {
        true => Digest::default(),
        false => Digest::of(domain, &whole),
    };
    check_bytes(&cut, &whole, digest(Domain::Update), size, most);
    check_params(&cut, &whole, digest(Domain::Params), size);
    let payload = Bytes::from(whole);
    let again: Vec<Bytes> = frames(&payload).collect();
    assert!(again.iter().all(|frame| (1..=MAX_FRAME).contains(&frame.len())));
    assert_eq!(again.concat(), payload);
    Ok(())
}

/// What frames must come to, frame by frame.
fn expected(cut: &[Bytes], size: u64) -> std::result::Result<(), CodecError> {
    let mut at = 0;
    for frame in cut {
        let found = at + frame.len() as u64;
        match frame.len() {
            len if len > MAX_FRAME => return Err(CodecError::FrameTooLarge { found: len }),
            0 => return Err(CodecError::EmptyFrame { at, expected: size }),
            _ if found > size => return Err(CodecError::Overrun { expected: size, found }),
            _ => at = found,
        }
    }
    if at < size { Err(CodecError::Underrun { expected: size, found: at }) } else { Ok(()) }
}

fn check_bytes(cut: &[Bytes], whole: &[u8], digest: Digest, size: u64, most: u64) {
    let mut assembler = match Assembler::new(Domain::Update, digest, size, most) {
        Ok(assembler) => assembler,
        Err(why) => return assert_eq!((why, size > most), (CodecError::Oversize { most, found: size }, true)),
    };
    assert!(size <= most);
    let pushed = cut.iter().try_for_each(|frame| assembler.push(frame.clone()));
    let came = pushed.and_then(|()| {
        let is_complete = assembler.is_complete();
        assembler.finish().inspect(|_| assert!(is_complete))
    });
    compare(&came.map(|bytes| bytes.to_vec()), cut, whole, digest, Domain::Update, size);
}

fn check_params(cut: &[Bytes], whole: &[u8], digest: Digest, size: u64) {
    let count = whole.len() / size_of::<f32>();
    let mut assembler = match ParamsAssembler::new(vec![f32::NAN; 3], count, digest, size) {
        Ok(assembler) => assembler,
        Err(why) => {
            let expected = count as u64 * size_of::<f32>() as u64;
            return assert_eq!((why, size != expected), (CodecError::WrongSize { expected, found: size }, true));
        }
    };
    let pushed = cut.iter().try_for_each(|frame| assembler.push(frame));
    let came = pushed.and_then(|()| assembler.finish());
    let came = came.map(|params| params_to_bytes(Arc::new(params)).to_vec());
    compare(&came, cut, whole, digest, Domain::Params, size);
}

fn compare(
    came: &std::result::Result<Vec<u8>, CodecError>,
    cut: &[Bytes],
    whole: &[u8],
    digest: Digest,
    domain: Domain,
    size: u64,
) {
    let found = Digest::of(domain, whole);
    let expected = expected(cut, size).and_then(|()| match found == digest {
        true => Ok(whole.to_vec()),
        false => Err(CodecError::WrongDigest { expected: digest, found }),
    });
    assert_eq!(*came, expected);
}

/// Choices that lead everywhere.
pub fn seeds() -> Vec<Vec<u8>> {
    (0..16).map(|number| crate::noise(number, 64 + 16 * number as usize)).collect()
}
