//! From probabilities to an answer, in the encoding of the request and with the provenance of the model.

use std::collections::HashMap;

use bytes::{BufMut, Bytes, BytesMut};
use syngrad_model::argmax;
use syngrad_proto::inference::infer_parameter::ParameterChoice;
use syngrad_proto::inference::model_infer_response::InferOutputTensor;
use syngrad_proto::inference::{InferParameter, InferTensorContents, ModelInferResponse};

use super::request::{Encoding, Output};
use super::signature::{LABEL, PROBABILITIES, Signature};
use crate::served::ServedModel;

/// What an answer echoes and how it travels.
pub(super) struct Frame {
    pub(super) id: String,
    pub(super) outputs: Vec<Output>,
    pub(super) encoding: Encoding,
}

/// The answer of `model` to rows with `probabilities` `[n, classes]`.
pub(super) fn build(
    model: &ServedModel,
    signature: &Signature,
    frame: Frame,
    probabilities: &[f32],
) -> ModelInferResponse {
    let mut answer = ModelInferResponse {
        model_name: signature.name.to_owned(),
        model_version: model.model_version.clone(),
        id: frame.id,
        parameters: provenance(model),
        outputs: Vec::with_capacity(frame.outputs.len()),
        raw_output_contents: Vec::new(),
    };
    for output in frame.outputs {
        let tensor = Tensor::of(output, signature, probabilities);
        let contents = match frame.encoding {
            Encoding::Typed => Some(tensor.values.typed()),
            Encoding::Raw => {
                answer.raw_output_contents.push(tensor.values.raw());
                None
            }
        };
        answer.outputs.push(InferOutputTensor {
            name: tensor.name.to_owned(),
            datatype: tensor.datatype.to_owned(),
            shape: tensor.shape,
            parameters: HashMap::new(),
            contents,
        });
    }
    answer
}

/// Which params answered: the parameters of every answer.
fn provenance(model: &ServedModel) -> HashMap<String, InferParameter> {
    let text = |text: String| ParameterChoice::StringParam(text);
    [
        ("run", text(model.run.to_string())),
        ("round", ParameterChoice::Int64Param(i64::from(model.round.0))),
        ("params_digest", text(model.params_digest.to_string())),
        ("model_version", text(model.model_version.clone())),
    ]
    .into_iter()
    .map(|(name, choice)| (name.to_owned(), InferParameter { parameter_choice: Some(choice) }))
    .collect()
}

struct Tensor {
    name: &'static str,
    datatype: &'static str,
    shape: Vec<i64>,
    values: Values,
}

enum Values {
    Fp32(Vec<f32>),
    Int64(Vec<i64>),
    Texts(Vec<String>),
}

impl Tensor {
    fn of(output: Output, signature: &Signature, probabilities: &[f32]) -> Self {
        let rows = || probabilities.chunks_exact(signature.classes);
        let count = size(rows().len());
        match output {
            Output::Probabilities => Self {
                name: PROBABILITIES,
                datatype: "FP32",
                shape: vec![count, size(signature.classes)],
                values: Values::Fp32(probabilities.to_vec()),
            },
            Output::Label => Self {
                name: LABEL,
                datatype: "INT64",
                shape: vec![count],
                values: Values::Int64(rows().map(|row| size(argmax(row))).collect()),
            },
            Output::Classification { top } => Self {
                name: PROBABILITIES,
                datatype: "BYTES",
                shape: vec![count, size(top)],
                values: Values::Texts(rows().flat_map(|row| likeliest(row, top)).collect()),
            },
        }
    }
}

impl Values {
    fn typed(self) -> InferTensorContents {
        let mut contents = InferTensorContents::default();
        match self {
            Self::Fp32(values) => contents.fp32_contents = values,
            Self::Int64(values) => contents.int64_contents = values,
            Self::Texts(values) => contents.bytes_contents = values.into_iter().map(Bytes::from).collect(),
        }
        contents
    }

    /// Little-endian and without padding; a text goes behind its length in four bytes.
    fn raw(self) -> Bytes {
        let mut raw = BytesMut::new();
        match self {
            Self::Fp32(values) => {
                raw.reserve(values.len() * size_of::<f32>());
                values.into_iter().for_each(|value| raw.put_f32_le(value));
            }
            Self::Int64(values) => {
                raw.reserve(values.len() * size_of::<i64>());
                values.into_iter().for_each(|value| raw.put_i64_le(value));
            }
            Self::Texts(values) => {
                for text in values {
                    raw.put_u32_le(u32::try_from(text.len()).expect("a probability and an index are a short text"));
                    raw.put_slice(text.as_bytes());
                }
            }
        }
        raw.freeze()
    }
}

/// The `top` likeliest classes as `value:index`, the likeliest first; of equals the lower index.
fn likeliest(row: &[f32], top: usize) -> Vec<String> {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
    order.into_iter().take(top).map(|index| format!("{:.6}:{index}", row[index])).collect()
}

fn size(size: usize) -> i64 {
    i64::try_from(size).expect("batches and classes are far below 2^63")
}

#[cfg(test)]
mod tests;
