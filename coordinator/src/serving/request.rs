//! From a request to what is asked: pure, so that every refusal is a row in a table of tests.

use std::collections::HashMap;

use syngrad_proto::inference::infer_parameter::ParameterChoice;
use syngrad_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use syngrad_proto::inference::{InferParameter, ModelInferRequest};

use super::contents::{self, Rows};
use super::error::InferError;
use super::signature::{Datatype, LABEL, PROBABILITIES, Signature, batch_shape, shape_text};

/// Rows of one request, at most. Past 64 rows a larger batch is no faster, and so many FP32 rows of MNIST fit into one
/// message of 4 MiB.
pub(super) const MAX_BATCH: usize = 1024;

/// A request that can be answered.
#[derive(Debug, PartialEq)]
pub(super) struct Query {
    pub(super) rows: Rows,
    /// Number of rows, 1 to [`MAX_BATCH`].
    pub(super) count: usize,
    /// The outputs, in the order they were asked for.
    pub(super) outputs: Vec<Output>,
    pub(super) encoding: Encoding,
}

/// One tensor of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Probabilities,
    Label,
    /// The `top` likeliest classes instead of the probabilities, as texts `value:index`.
    Classification {
        top: usize,
    },
}

/// How tensors travel: an answer comes in the encoding of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// In `raw_input_contents` and `raw_output_contents`.
    Raw,
    /// In each tensor's `contents`.
    Typed,
}

/// Reads what is asked of the model with `signature`.
pub(super) fn parse(mut request: ModelInferRequest, signature: &Signature) -> Result<Query, InferError> {
    let input = the_input(std::mem::take(&mut request.inputs), signature)?;
    let outputs = outputs(&request.outputs, signature)?;
    let datatype = datatype(&input, signature)?;
    let count = count(&input, datatype, signature)?;
    refuse_shared_memory(&input.name, &input.parameters)?;
    let typed = input.contents.filter(|typed| !contents::is_empty(typed));
    let (encoding, rows) = match (request.raw_input_contents.pop(), typed) {
        (Some(_), Some(_)) => return Err(InferError::ContentsTwice { input: signature.input }),
        (Some(raw), None) if request.raw_input_contents.is_empty() => {
            (Encoding::Raw, contents::from_raw(raw, count, datatype, signature)?)
        }
        (Some(_), None) => {
            return Err(InferError::RawCount { expected: 1, found: request.raw_input_contents.len() + 1 });
        }
        (None, Some(typed)) => (Encoding::Typed, contents::from_typed(typed, count, datatype, signature)?),
        (None, None) => {
            return Err(InferError::NoContents { input: signature.input, field: contents::field(datatype) });
        }
    };
    Ok(Query { rows, count, outputs, encoding })
}

fn the_input(mut inputs: Vec<InferInputTensor>, signature: &Signature) -> Result<InferInputTensor, InferError> {
    if let Some(other) = inputs.iter().find(|input| input.name != signature.input) {
        return Err(InferError::UnknownInput { expected: signature.input, found: other.name.clone() });
    }
    let count = inputs.len();
    match inputs.pop() {
        None => Err(InferError::MissingInput { expected: signature.input }),
        Some(input) if count == 1 => Ok(input),
        Some(_) => Err(InferError::DuplicateInput { name: signature.input, count }),
    }
}

fn datatype(input: &InferInputTensor, signature: &Signature) -> Result<Datatype, InferError> {
    Datatype::parse(&input.datatype).ok_or_else(|| InferError::Datatype {
        input: signature.input,
        expected: accepted(signature),
        found: input.datatype.clone(),
    })
}

/// Every form of the input, for people: `FP32 [-1,784] or UINT8 [-1,28,28]`.
fn accepted(signature: &Signature) -> String {
    let form = |datatype: Datatype| format!("{datatype} {}", shape_text(&batch_shape(signature.row(datatype))));
    Datatype::ALL.map(form).join(" or ")
}

fn count(input: &InferInputTensor, datatype: Datatype, signature: &Signature) -> Result<usize, InferError> {
    let expected = batch_shape(signature.row(datatype));
    let fits = |rows: i64| rows >= 1 && input.shape.len() == expected.len() && input.shape[1..] == expected[1..];
    match input.shape.first() {
        Some(&rows) if fits(rows) => usize::try_from(rows)
            .ok()
            .filter(|&rows| rows <= MAX_BATCH)
            .ok_or(InferError::BatchTooLarge { limit: MAX_BATCH, found: rows }),
        Some(_) | None => Err(InferError::Shape {
            input: signature.input,
            datatype: datatype.name(),
            expected: shape_text(&expected),
            found: shape_text(&input.shape),
        }),
    }
}

fn outputs(requested: &[InferRequestedOutputTensor], signature: &Signature) -> Result<Vec<Output>, InferError> {
    if requested.is_empty() {
        return Ok(vec![Output::Probabilities, Output::Label]);
    }
    let mut outputs = Vec::with_capacity(requested.len());
    let mut seen = Vec::with_capacity(requested.len());
    for output in requested {
        refuse_shared_memory(&output.name, &output.parameters)?;
        let (name, output) = output_of(output, signature)?;
        if seen.contains(&name) {
            return Err(InferError::DuplicateOutput { name });
        }
        seen.push(name);
        outputs.push(output);
    }
    Ok(outputs)
}

fn output_of(
    requested: &InferRequestedOutputTensor,
    signature: &Signature,
) -> Result<(&'static str, Output), InferError> {
    let top = requested.parameters.get("classification");
    match requested.name.as_str() {
        PROBABILITIES => match top {
            Some(top) => Ok((PROBABILITIES, classification(top, signature)?)),
            None => Ok((PROBABILITIES, Output::Probabilities)),
        },
        LABEL => match top {
            Some(_) => Err(InferError::Classification {
                output: LABEL,
                expected: format!("it to be asked of output {PROBABILITIES:?}"),
                found: "asked of a label".to_owned(),
            }),
            None => Ok((LABEL, Output::Label)),
        },
        other => Err(InferError::UnknownOutput {
            expected: format!("{PROBABILITIES:?} or {LABEL:?}"),
            found: other.to_owned(),
        }),
    }
}

/// The classification extension: the parameter is how many of the likeliest classes to name. More than there are
/// means all; 0 means that the extension is not used, as Triton has it.
fn classification(top: &InferParameter, signature: &Signature) -> Result<Output, InferError> {
    let count = match &top.parameter_choice {
        Some(ParameterChoice::Int64Param(count)) => usize::try_from(*count).ok(),
        Some(ParameterChoice::Uint64Param(count)) => Some(usize::try_from(*count).unwrap_or(usize::MAX)),
        Some(ParameterChoice::BoolParam(_) | ParameterChoice::StringParam(_) | ParameterChoice::DoubleParam(_))
        | None => None,
    };
    match count {
        Some(0) => Ok(Output::Probabilities),
        Some(count) => Ok(Output::Classification { top: count.min(signature.classes) }),
        None => Err(InferError::Classification {
            output: PROBABILITIES,
            expected: format!("a whole number of classes, 0 to {}", signature.classes),
            found: parameter_text(top),
        }),
    }
}

fn parameter_text(parameter: &InferParameter) -> String {
    match &parameter.parameter_choice {
        Some(ParameterChoice::BoolParam(value)) => value.to_string(),
        Some(ParameterChoice::Int64Param(value)) => value.to_string(),
        Some(ParameterChoice::StringParam(value)) => format!("{value:?}"),
        Some(ParameterChoice::DoubleParam(value)) => value.to_string(),
        Some(ParameterChoice::Uint64Param(value)) => value.to_string(),
        None => "empty".to_owned(),
    }
}

fn refuse_shared_memory(tensor: &str, parameters: &HashMap<String, InferParameter>) -> Result<(), InferError> {
    match parameters.contains_key("shared_memory_region") {
        true => Err(InferError::SharedMemory { tensor: tensor.to_owned() }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
