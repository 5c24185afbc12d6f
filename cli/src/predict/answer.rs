//! A coordinator's answer, checked: what it says of each row, and which params said so.

use std::collections::HashMap;

use syngrad_common::{Code, Failure};
use syngrad_engine::Digest;
use syngrad_proto::inference::infer_parameter::ParameterChoice;
use syngrad_proto::inference::{InferParameter, ModelInferResponse};

/// What a model says about one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The likeliest class.
    pub label: usize,
    /// The probability of each class.
    pub probabilities: Vec<f32>,
    /// Which params said so.
    pub provenance: Provenance,
}

/// Which params answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The served model.
    pub model: String,
    /// Its version.
    pub model_version: String,
    /// The run that made the params.
    pub run: String,
    /// The round that they came out of.
    pub round: u32,
    /// Digest of the params.
    pub params_digest: Digest,
}

impl Prediction {
    /// The probability of the likeliest class.
    #[must_use]
    pub fn confidence(&self) -> f32 {
        self.probabilities.get(self.label).copied().unwrap_or_default()
    }
}

/// Reads the answer about `count` rows.
pub(super) fn read(answer: &ModelInferResponse, count: usize) -> Result<Vec<Prediction>, Failure> {
    let provenance = provenance(answer)?;
    let (shape, probabilities) = raw(answer, "probabilities", "FP32")?;
    let (_, labels) = raw(answer, "label", "INT64")?;
    let (probabilities, rest) = probabilities.as_chunks::<4>();
    let (labels, label_rest) = labels.as_chunks::<8>();
    let classes = match shape {
        &[rows, classes] if usize::try_from(rows) == Ok(count) => usize::try_from(classes).ok(),
        _ => None,
    };
    let classes = classes
        .filter(|&classes| classes > 0 && rest.is_empty() && count.checked_mul(classes) == Some(probabilities.len()))
        .ok_or_else(|| odd(&format!("probabilities of shape {shape:?} for {count} pictures")))?;
    if labels.len() != count || !label_rest.is_empty() {
        return Err(odd(&format!("{} labels for {count} pictures", labels.len())));
    }
    let prediction = |(row, label): (&[[u8; 4]], &[u8; 8])| {
        let label = i64::from_le_bytes(*label);
        let known = usize::try_from(label).ok().filter(|&label| label < classes);
        Ok(Prediction {
            label: known.ok_or_else(|| odd(&format!("label {label} of {classes} classes")))?,
            probabilities: row.iter().map(|&value| f32::from_le_bytes(value)).collect(),
            provenance: provenance.clone(),
        })
    };
    probabilities.chunks_exact(classes).zip(labels).map(prediction).collect()
}

/// The shape and the raw contents of the output called `name`.
fn raw<'a>(answer: &'a ModelInferResponse, name: &str, datatype: &str) -> Result<(&'a [i64], &'a [u8]), Failure> {
    let outputs = answer.outputs.iter().zip(&answer.raw_output_contents);
    let (output, bytes) = outputs
        .into_iter()
        .find(|(output, _)| output.name == name)
        .ok_or_else(|| odd(&format!("no raw output {name:?}")))?;
    match output.datatype == datatype {
        true => Ok((&output.shape, bytes)),
        false => Err(odd(&format!("output {name:?} of datatype {:?}, expected {datatype}", output.datatype))),
    }
}

fn provenance(answer: &ModelInferResponse) -> Result<Provenance, Failure> {
    let digest = text(&answer.parameters, "params_digest")?;
    let round = match choice(&answer.parameters, "round") {
        Some(ParameterChoice::Int64Param(round)) => u32::try_from(*round).ok(),
        Some(
            ParameterChoice::BoolParam(_)
            | ParameterChoice::StringParam(_)
            | ParameterChoice::DoubleParam(_)
            | ParameterChoice::Uint64Param(_),
        )
        | None => None,
    };
    Ok(Provenance {
        model: answer.model_name.clone(),
        model_version: answer.model_version.clone(),
        run: text(&answer.parameters, "run")?,
        round: round.ok_or_else(|| odd("no round in its parameters"))?,
        params_digest: Digest::from_hex(&digest).ok_or_else(|| odd(&format!("params_digest {digest:?}")))?,
    })
}

fn text(parameters: &HashMap<String, InferParameter>, name: &str) -> Result<String, Failure> {
    match choice(parameters, name) {
        Some(ParameterChoice::StringParam(text)) => Ok(text.clone()),
        Some(
            ParameterChoice::BoolParam(_)
            | ParameterChoice::Int64Param(_)
            | ParameterChoice::DoubleParam(_)
            | ParameterChoice::Uint64Param(_),
        )
        | None => Err(odd(&format!("no {name} in its parameters"))),
    }
}

fn choice<'a>(parameters: &'a HashMap<String, InferParameter>, name: &str) -> Option<&'a ParameterChoice> {
    parameters.get(name)?.parameter_choice.as_ref()
}

fn odd(what: &str) -> Failure {
    Failure::new(Code::BadMessage, format!("the coordinator's answer has {what}; is it another program?"))
}
