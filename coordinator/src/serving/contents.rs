//! The values of the input tensor, raw or typed, checked to the last byte.

use bytes::Bytes;
use syngrad_proto::inference::InferTensorContents;

use super::error::InferError;
use super::signature::{Datatype, Signature, batch_shape, shape_text};

/// Rows of features, row-major.
#[derive(Debug, PartialEq)]
pub(super) enum Rows {
    /// As the network takes them.
    Features(Vec<f32>),
    /// A feature is byte / 255. Raw bytes stay where they arrived.
    Bytes(Bytes),
}

/// The field of typed contents that holds values of `datatype`.
pub(super) fn field(datatype: Datatype) -> &'static str {
    match datatype {
        Datatype::Fp32 => "fp32_contents",
        Datatype::Uint8 => "uint_contents",
    }
}

/// Reads raw contents: little-endian, without padding.
pub(super) fn from_raw(
    raw: Bytes,
    count: usize,
    datatype: Datatype,
    signature: &Signature,
) -> Result<Rows, InferError> {
    let expected = count * signature.features * datatype.bytes();
    if raw.len() != expected {
        return Err(InferError::ByteLength {
            input: signature.input,
            datatype: datatype.name(),
            shape: full_shape(count, datatype, signature),
            expected,
            found: raw.len(),
        });
    }
    match datatype {
        Datatype::Uint8 => Ok(Rows::Bytes(raw)),
        Datatype::Fp32 => {
            let (values, _) = raw.as_chunks::<4>();
            finite(values.iter().map(|&value| f32::from_le_bytes(value)).collect(), signature)
        }
    }
}

/// Reads typed contents: the one field that fits the datatype, and nothing in the others.
pub(super) fn from_typed(
    typed: InferTensorContents,
    count: usize,
    datatype: Datatype,
    signature: &Signature,
) -> Result<Rows, InferError> {
    let expected = field(datatype);
    if let Some(found) = filled(&typed).into_iter().find(|&found| found != expected) {
        let (input, datatype) = (signature.input, datatype.name());
        return Err(InferError::ContentsField { input, datatype, expected, found });
    }
    match datatype {
        Datatype::Fp32 => {
            check_count(typed.fp32_contents.len(), count, datatype, signature)?;
            finite(typed.fp32_contents, signature)
        }
        Datatype::Uint8 => {
            check_count(typed.uint_contents.len(), count, datatype, signature)?;
            narrow(&typed.uint_contents, signature)
        }
    }
}

/// Whether no field holds anything: some clients send such contents beside raw ones.
pub(super) fn is_empty(typed: &InferTensorContents) -> bool {
    filled(typed).is_empty()
}

/// Names of the fields that hold something.
fn filled(typed: &InferTensorContents) -> Vec<&'static str> {
    [
        ("bool_contents", typed.bool_contents.len()),
        ("int_contents", typed.int_contents.len()),
        ("int64_contents", typed.int64_contents.len()),
        ("uint_contents", typed.uint_contents.len()),
        ("uint64_contents", typed.uint64_contents.len()),
        ("fp32_contents", typed.fp32_contents.len()),
        ("fp64_contents", typed.fp64_contents.len()),
        ("bytes_contents", typed.bytes_contents.len()),
    ]
    .into_iter()
    .filter_map(|(name, len)| (len > 0).then_some(name))
    .collect()
}

fn check_count(found: usize, count: usize, datatype: Datatype, signature: &Signature) -> Result<(), InferError> {
    let expected = count * signature.features;
    match found == expected {
        true => Ok(()),
        false => Err(InferError::ValueCount {
            input: signature.input,
            shape: full_shape(count, datatype, signature),
            expected,
            found,
        }),
    }
}

fn full_shape(count: usize, datatype: Datatype, signature: &Signature) -> String {
    let mut shape = batch_shape(signature.row(datatype));
    shape[0] = i64::try_from(count).expect("a batch is within its limit");
    shape_text(&shape)
}

fn finite(values: Vec<f32>, signature: &Signature) -> Result<Rows, InferError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(Rows::Features(values)),
        Some(at) => Err(InferError::NotFinite {
            input: signature.input,
            row: at / signature.features,
            feature: at % signature.features,
            value: values[at],
        }),
    }
}

fn narrow(values: &[u32], signature: &Signature) -> Result<Rows, InferError> {
    let byte = |(at, &value): (usize, &u32)| {
        u8::try_from(value).map_err(|_| InferError::NotAByte {
            input: signature.input,
            row: at / signature.features,
            feature: at % signature.features,
            value,
        })
    };
    let bytes: Vec<u8> = values.iter().enumerate().map(byte).collect::<Result<_, _>>()?;
    Ok(Rows::Bytes(bytes.into()))
}
