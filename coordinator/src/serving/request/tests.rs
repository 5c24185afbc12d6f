use bytes::Bytes;
use syngrad_common::Code;
use syngrad_engine::spec::{DataSpec, ModelSpec, Partition};
use syngrad_proto::inference::InferTensorContents;

use super::*;

fn mnist() -> Signature {
    let model = ModelSpec::Mlp { inputs: 784, hidden: vec![16], classes: 10 };
    Signature::of(&model, &DataSpec::Mnist { limit: None, partition: Partition::Iid {} })
        .expect("a network that classifies")
}

fn input(datatype: &str, shape: &[i64]) -> InferInputTensor {
    InferInputTensor {
        name: "image".to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
        ..InferInputTensor::default()
    }
}

fn raw(datatype: &str, shape: &[i64], bytes: Vec<u8>) -> ModelInferRequest {
    ModelInferRequest {
        inputs: vec![input(datatype, shape)],
        raw_input_contents: vec![Bytes::from(bytes)],
        ..ModelInferRequest::default()
    }
}

fn typed(datatype: &str, shape: &[i64], contents: InferTensorContents) -> ModelInferRequest {
    let input = InferInputTensor { contents: Some(contents), ..input(datatype, shape) };
    ModelInferRequest { inputs: vec![input], ..ModelInferRequest::default() }
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn good() -> ModelInferRequest {
    raw("FP32", &[1, 784], floats(&[0.5; 784]))
}

fn wanting(outputs: &[(&str, Option<ParameterChoice>)]) -> ModelInferRequest {
    let outputs = outputs.iter().map(|(name, top)| InferRequestedOutputTensor {
        name: (*name).to_owned(),
        parameters: top
            .iter()
            .map(|top| ("classification".to_owned(), InferParameter { parameter_choice: Some(top.clone()) }))
            .collect(),
    });
    ModelInferRequest { outputs: outputs.collect(), ..good() }
}

fn fp32(values: Vec<f32>) -> InferTensorContents {
    InferTensorContents { fp32_contents: values, ..InferTensorContents::default() }
}

fn uint(values: Vec<u32>) -> InferTensorContents {
    InferTensorContents { uint_contents: values, ..InferTensorContents::default() }
}

#[test]
fn both_datatypes_come_raw_and_typed() {
    let (features, bytes): (Vec<f32>, Vec<u8>) = (0..1568).map(|at| (at as f32 / 1568.0, (at % 256) as u8)).unzip();
    let wide = bytes.iter().copied().map(u32::from).collect();
    for (request, encoding, rows) in [
        (raw("FP32", &[2, 784], floats(&features)), Encoding::Raw, Rows::Features(features.clone())),
        (typed("FP32", &[2, 784], fp32(features.clone())), Encoding::Typed, Rows::Features(features.clone())),
        (raw("UINT8", &[2, 28, 28], bytes.clone()), Encoding::Raw, Rows::Bytes(bytes.clone().into())),
        (typed("UINT8", &[2, 28, 28], uint(wide)), Encoding::Typed, Rows::Bytes(bytes.into())),
    ] {
        let query = parse(request, &mnist()).expect("a good request");
        assert_eq!(query, Query { rows, count: 2, outputs: vec![Output::Probabilities, Output::Label], encoding });
    }
}

#[test]
fn raw_bytes_are_not_copied() {
    let request = raw("UINT8", &[1, 28, 28], vec![7; 784]);
    let at = request.raw_input_contents[0].as_ptr();
    let query = parse(request, &mnist()).expect("a good request");
    assert!(matches!(query.rows, Rows::Bytes(bytes) if bytes.as_ptr() == at));
}

#[test]
fn empty_contents_beside_raw_ones_are_none() {
    let mut request = good();
    request.inputs[0].contents = Some(InferTensorContents::default());
    assert_eq!(parse(request, &mnist()).expect("a good request").encoding, Encoding::Raw);
}

#[test]
fn outputs_come_as_asked() {
    let classification = |top: i64| Some(ParameterChoice::Int64Param(top));
    for (asked, expected) in [
        (vec![], vec![Output::Probabilities, Output::Label]),
        (vec![("label", None)], vec![Output::Label]),
        (vec![("label", None), ("probabilities", None)], vec![Output::Label, Output::Probabilities]),
        (vec![("probabilities", classification(3))], vec![Output::Classification { top: 3 }]),
        (vec![("probabilities", classification(99))], vec![Output::Classification { top: 10 }]),
        (vec![("probabilities", classification(0))], vec![Output::Probabilities]),
    ] {
        assert_eq!(parse(wanting(&asked), &mnist()).expect("a good request").outputs, expected, "{asked:?}");
    }
}

#[test]
fn the_largest_batch_is_taken() {
    let request = raw("UINT8", &[MAX_BATCH as i64, 28, 28], vec![0; MAX_BATCH * 784]);
    assert_eq!(parse(request, &mnist()).expect("a good request").count, MAX_BATCH);
}

fn changed(change: impl FnOnce(&mut ModelInferRequest)) -> ModelInferRequest {
    let mut request = good();
    change(&mut request);
    request
}

fn in_shared_memory() -> HashMap<String, InferParameter> {
    let region = ParameterChoice::StringParam("region".to_owned());
    HashMap::from([("shared_memory_region".to_owned(), InferParameter { parameter_choice: Some(region) })])
}

fn poisoned(at: usize, value: f32) -> Vec<f32> {
    let mut values = vec![0.0; 1568];
    values[at] = value;
    values
}

/// Bad inputs, each with the words that its refusal must hold: what was expected and what came.
fn bad_inputs() -> Vec<(&'static str, ModelInferRequest, Vec<&'static str>)> {
    let twice = changed(|request| request.inputs.push(input("FP32", &[1, 784])));
    vec![
        ("no input", changed(|request| request.inputs.clear()), vec!["\"image\"", "missing"]),
        ("wrong name", changed(|request| request.inputs[0].name = "x".to_owned()), vec!["\"x\"", "\"image\""]),
        ("two of it", twice, vec!["2 times", "once"]),
        (
            "another input beside it",
            changed(|request| request.inputs.push(InferInputTensor { name: "y".to_owned(), ..input("FP32", &[1]) })),
            vec!["\"y\"", "\"image\""],
        ),
        ("datatype", raw("FP64", &[1, 784], vec![0; 8 * 784]), vec!["\"FP64\"", "FP32 [-1,784] or UINT8 [-1,28,28]"]),
        ("no shape", raw("FP32", &[], vec![0; 3136]), vec!["[]", "[-1,784]"]),
        ("rank", raw("FP32", &[784], vec![0; 3136]), vec!["[784]", "[-1,784]"]),
        ("the other form's shape", raw("FP32", &[1, 28, 28], vec![0; 3136]), vec!["[1,28,28]", "[-1,784]"]),
        ("width", raw("FP32", &[1, 783], vec![0; 3132]), vec!["[1,783]", "[-1,784]"]),
        ("uint8 shape", raw("UINT8", &[1, 784], vec![0; 784]), vec!["[1,784]", "[-1,28,28]"]),
        ("no rows", raw("FP32", &[0, 784], vec![]), vec!["[0,784]", "at least one row"]),
        ("negative rows", raw("FP32", &[-1, 784], vec![]), vec!["[-1,784]"]),
        ("a byte short", raw("FP32", &[1, 784], vec![0; 3135]), vec!["3135 bytes", "expected 3136"]),
        ("a byte long", raw("UINT8", &[1, 28, 28], vec![0; 785]), vec!["785 bytes", "expected 784"]),
        ("nothing raw", raw("FP32", &[1, 784], vec![]), vec!["0 bytes", "expected 3136"]),
        (
            "raw entries",
            changed(|request| request.raw_input_contents.push(Bytes::new())),
            vec!["2 entries", "expected 1"],
        ),
        ("raw and typed", changed(|request| request.inputs[0].contents = Some(fp32(vec![0.5; 784]))), vec!["both"]),
        ("no contents", changed(|request| request.raw_input_contents.clear()), vec!["no contents", "fp32_contents"]),
        ("typed count", typed("FP32", &[1, 784], fp32(vec![0.0; 783])), vec!["783 values", "expected 784"]),
        (
            "typed field",
            typed("FP32", &[1, 784], uint(vec![0; 784])),
            vec!["uint_contents", "expected them in fp32_contents"],
        ),
        ("typed byte", typed("UINT8", &[1, 28, 28], uint(vec![256; 784])), vec!["256", "0 to 255"]),
        ("NaN", raw("FP32", &[2, 784], floats(&poisoned(790, f32::NAN))), vec!["NaN", "row 1, feature 6"]),
        ("infinity", typed("FP32", &[2, 784], fp32(poisoned(3, f32::INFINITY))), vec!["inf", "row 0, feature 3"]),
        (
            "shared memory",
            changed(|request| request.inputs[0].parameters = in_shared_memory()),
            vec!["\"image\"", "shared memory"],
        ),
    ]
}

fn bad_outputs() -> Vec<(&'static str, ModelInferRequest, Vec<&'static str>)> {
    let text = ParameterChoice::StringParam("3".to_owned());
    let (some, below) = (ParameterChoice::Int64Param(3), ParameterChoice::Int64Param(-1));
    vec![
        ("unknown", wanting(&[("logits", None)]), vec!["\"logits\"", "\"probabilities\" or \"label\""]),
        ("twice", wanting(&[("label", None), ("label", None)]), vec!["\"label\"", "more than once"]),
        ("classified label", wanting(&[("label", Some(some))]), vec!["\"label\"", "\"probabilities\""]),
        ("text", wanting(&[("probabilities", Some(text))]), vec!["\"3\"", "0 to 10"]),
        ("negative", wanting(&[("probabilities", Some(below))]), vec!["-1", "0 to 10"]),
        (
            "shared memory",
            changed(|request| {
                let parameters = in_shared_memory();
                request.outputs = vec![InferRequestedOutputTensor { name: "label".to_owned(), parameters }];
            }),
            vec!["\"label\"", "shared memory"],
        ),
    ]
}

#[test]
fn a_bad_request_is_refused_with_what_was_expected_and_what_came() {
    for (name, request, words) in bad_inputs().into_iter().chain(bad_outputs()) {
        let error = parse(request, &mnist()).expect_err(name);
        assert_eq!(error.code(), Code::BadInput, "{name}: {error}");
        let text = error.to_string();
        for word in words {
            assert!(text.contains(word), "{name}: {text:?} does not say {word:?}");
        }
    }
}

#[test]
fn a_batch_over_the_limit_is_another_matter() {
    for rows in [MAX_BATCH as i64 + 1, i64::MAX] {
        let error = parse(raw("FP32", &[rows, 784], vec![]), &mnist()).expect_err("too large");
        assert_eq!(error, InferError::BatchTooLarge { limit: MAX_BATCH, found: rows });
    }
}

#[test]
fn synthetic_features_are_flat_in_both_datatypes() {
    let model = ModelSpec::Mlp { inputs: 5, hidden: vec![], classes: 3 };
    let data = DataSpec::Synthetic { samples: 64, inputs: 5, classes: 3, partition: Partition::Iid {} };
    let signature = Signature::of(&model, &data).expect("a network that classifies");
    let mut request = raw("UINT8", &[1, 5], vec![1, 2, 3, 4, 5]);
    request.inputs[0].name = "features".to_owned();
    let query = parse(request, &signature).expect("a good request");
    assert_eq!(query.rows, Rows::Bytes(Bytes::from_static(&[1, 2, 3, 4, 5])));
}
