use syngrad_engine::Digest;
use syngrad_proto::inference::infer_parameter::ParameterChoice;
use syngrad_proto::inference::model_infer_response::InferOutputTensor;
use syngrad_proto::inference::{InferParameter, ModelInferResponse};

use super::*;

fn output(name: &str, datatype: &str, shape: &[i64]) -> InferOutputTensor {
    InferOutputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
        ..InferOutputTensor::default()
    }
}

fn good() -> ModelInferResponse {
    let parameter = |name: &str, choice| (name.to_owned(), InferParameter { parameter_choice: Some(choice) });
    ModelInferResponse {
        model_name: "mnist".to_owned(),
        model_version: "2".to_owned(),
        id: String::new(),
        parameters: [
            parameter("run", ParameterChoice::StringParam("a-run".to_owned())),
            parameter("round", ParameterChoice::Int64Param(9)),
            parameter("params_digest", ParameterChoice::StringParam("05".repeat(32))),
        ]
        .into(),
        outputs: vec![output("probabilities", "FP32", &[2, 3]), output("label", "INT64", &[2])],
        raw_output_contents: vec![
            [0.25f32, 0.5, 0.25, 0.875, 0.0625, 0.0625].map(f32::to_le_bytes).concat().into(),
            [1i64, 0].map(i64::to_le_bytes).concat().into(),
        ],
    }
}

#[test]
fn an_answer_is_read_row_by_row() {
    let rows = answer::read(&good(), 2).expect("a good answer");
    assert_eq!(rows.iter().map(|row| row.label).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(rows[0].probabilities, [0.25, 0.5, 0.25]);
    assert_eq!(rows[1].confidence().to_bits(), 0.875f32.to_bits());
    let provenance = &rows[1].provenance;
    assert_eq!((provenance.model.as_str(), provenance.model_version.as_str()), ("mnist", "2"));
    assert_eq!((provenance.run.as_str(), provenance.round), ("a-run", 9));
    assert_eq!(provenance.params_digest, Digest([5; 32]));
}

#[test]
fn an_odd_answer_is_refused() {
    type Change = fn(&mut ModelInferResponse);
    let changes: [(&str, Change); 9] = [
        ("no outputs", |answer| answer.outputs.clear()),
        ("no raw contents", |answer| answer.raw_output_contents.clear()),
        ("datatype", |answer| answer.outputs[0].datatype = "FP64".to_owned()),
        ("shape", |answer| answer.outputs[0].shape = vec![2, 4]),
        ("rows", |answer| answer.outputs[0].shape = vec![3, 2]),
        ("labels", |answer| answer.raw_output_contents[1] = Bytes::from_static(&[0; 8])),
        ("label", |answer| answer.raw_output_contents[1] = Bytes::from([3i64, 0].map(i64::to_le_bytes).concat())),
        ("provenance", |answer| {
            answer.parameters.remove("round");
        }),
        ("digest", |answer| {
            answer.parameters.remove("params_digest");
        }),
    ];
    for (name, change) in changes {
        let mut answer = good();
        change(&mut answer);
        let failure = answer::read(&answer, 2).expect_err(name);
        assert_eq!(failure.code, Code::BadMessage, "{name}");
    }
}

#[test]
fn a_file_that_is_no_picture_is_named() {
    let missing = load(Path::new("no-such-file.png")).expect_err("not there");
    assert_eq!(missing.code, Code::Usage);
    assert!(missing.message.contains("no-such-file.png"), "{missing}");

    let garbage = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect_err("text");
    assert_eq!(garbage.code, Code::PictureUnreadable);
    assert!(garbage.message.contains("Cargo.toml"), "{garbage}");
}

#[test]
fn a_question_holds_the_pictures_in_order() {
    let question = question("mnist", &[vec![1; 784], vec![2; 784]]);
    assert_eq!(question.inputs[0].shape, [2, 28, 28]);
    assert_eq!(question.raw_input_contents[0].len(), 2 * 784);
    assert_eq!((question.raw_input_contents[0][783], question.raw_input_contents[0][784]), (1, 2));
}
