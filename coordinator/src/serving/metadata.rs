//! What the server and its model say of themselves.

use std::collections::HashMap;

use syngrad_proto::inference::infer_parameter::ParameterChoice;
use syngrad_proto::inference::model_metadata_response::TensorMetadata;
use syngrad_proto::inference::{InferParameter, ModelMetadataResponse, ServerMetadataResponse};

use super::signature::{Datatype, LABEL, PROBABILITIES, Signature, batch_shape, shape_text};

/// The server: its name, its version, the extensions of the protocol it has.
pub(super) fn server() -> ServerMetadataResponse {
    ServerMetadataResponse {
        name: "syngrad".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: vec!["classification".to_owned()],
    }
}

/// The model with `signature`. The input is listed once, in its FP32 form, because clients take each listed input for
/// a required one; its tag `also_accepts` names the UINT8 form.
pub(super) fn model(signature: &Signature, version: &str) -> ModelMetadataResponse {
    let uint8 = shape_text(&batch_shape(signature.row(Datatype::Uint8)));
    let tags = [("range", "0 to 1".to_owned()), ("also_accepts", format!("{} {uint8}, 0 to 255", Datatype::Uint8))];
    ModelMetadataResponse {
        name: signature.name.to_owned(),
        versions: vec![version.to_owned()],
        platform: signature.platform.to_owned(),
        inputs: vec![TensorMetadata {
            name: signature.input.to_owned(),
            datatype: Datatype::Fp32.name().to_owned(),
            shape: batch_shape(signature.row(Datatype::Fp32)),
            tags: tags.into_iter().map(|(name, text)| (name.to_owned(), string(text))).collect(),
        }],
        outputs: vec![
            output(PROBABILITIES, "FP32", batch_shape(&[signature.classes])),
            output(LABEL, "INT64", batch_shape(&[])),
        ],
    }
}

fn output(name: &str, datatype: &str, shape: Vec<i64>) -> TensorMetadata {
    TensorMetadata { name: name.to_owned(), datatype: datatype.to_owned(), shape, tags: HashMap::new() }
}

fn string(text: String) -> InferParameter {
    InferParameter { parameter_choice: Some(ParameterChoice::StringParam(text)) }
}
