use syngrad_engine::spec::{DataSpec, ModelSpec, Partition};
use syngrad_engine::{Digest, Round, RunId};

use super::*;

const PROBABILITY: [f32; 6] = [0.25, 0.5, 0.25, 0.0625, 0.0625, 0.875];

fn answer(outputs: &[Output], encoding: Encoding) -> ModelInferResponse {
    let model = ServedModel {
        params: std::sync::Arc::new(Vec::new()),
        params_digest: Digest([7; 32]),
        run: RunId([1; 16]),
        round: Round(42),
        model_version: "3".to_owned(),
        model: ModelSpec::Mlp { inputs: 4, hidden: vec![], classes: 3 },
        data: DataSpec::Synthetic { samples: 8, inputs: 4, classes: 3, partition: Partition::Iid {} },
        accuracy: Some(0.5),
    };
    let signature = Signature::of(&model.model, &model.data).expect("a network that classifies");
    build(&model, &signature, Frame { id: "q7".to_owned(), outputs: outputs.to_vec(), encoding }, &PROBABILITY)
}

#[test]
fn an_answer_names_its_request_and_its_params() {
    let answer = answer(&[Output::Label], Encoding::Raw);
    assert_eq!((answer.id.as_str(), answer.model_name.as_str()), ("q7", "synthetic"));
    assert_eq!(answer.model_version, "3");
    let parameter = |name: &str| answer.parameters[name].parameter_choice.clone().expect("a value");
    assert_eq!(parameter("run"), ParameterChoice::StringParam(RunId([1; 16]).to_string()));
    assert_eq!(parameter("round"), ParameterChoice::Int64Param(42));
    assert_eq!(parameter("params_digest"), ParameterChoice::StringParam("07".repeat(32)));
    assert_eq!(parameter("model_version"), ParameterChoice::StringParam("3".to_owned()));
}

#[test]
fn raw_answers_are_little_endian() {
    let answer = answer(&[Output::Label, Output::Probabilities], Encoding::Raw);
    assert!(answer.outputs.iter().all(|output| output.contents.is_none()));
    assert_eq!(answer.outputs[0].shape, [2]);
    assert_eq!(answer.raw_output_contents[0], [1i64, 2].map(i64::to_le_bytes).concat());
    assert_eq!(answer.outputs[1].shape, [2, 3]);
    assert_eq!(answer.raw_output_contents[1], PROBABILITY.map(f32::to_le_bytes).concat());
}

#[test]
fn typed_answers_are_in_the_field_of_their_datatype() {
    let answer = answer(&[Output::Probabilities, Output::Label], Encoding::Typed);
    assert!(answer.raw_output_contents.is_empty());
    let contents: Vec<_> = answer.outputs.into_iter().map(|output| output.contents.expect("typed")).collect();
    assert_eq!(contents[0].fp32_contents, PROBABILITY);
    assert_eq!(contents[1].int64_contents, [1, 2]);
}

#[test]
fn a_classification_is_texts_likeliest_first() {
    let expected = ["0.500000:1", "0.250000:0", "0.875000:2", "0.062500:0"];
    let typed = answer(&[Output::Classification { top: 2 }], Encoding::Typed);
    assert_eq!((typed.outputs[0].datatype.as_str(), typed.outputs[0].shape.as_slice()), ("BYTES", [2, 2].as_slice()));
    assert_eq!(typed.outputs[0].contents.as_ref().expect("typed").bytes_contents, expected);

    let raw = answer(&[Output::Classification { top: 2 }], Encoding::Raw);
    let framed: Vec<u8> = expected.iter().flat_map(|text| [&10u32.to_le_bytes(), text.as_bytes()].concat()).collect();
    assert_eq!(raw.raw_output_contents[0], framed);
}
