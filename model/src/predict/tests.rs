use super::*;
use crate::evaluate::Evaluator;
use crate::flat::initial_params;
use syngrad_dataset::synthetic;

fn model() -> ModelSpec {
    ModelSpec::Mlp { inputs: 12, hidden: vec![9], classes: 4 }
}

#[test]
fn answers_are_probabilities_that_agree_with_the_evaluation() {
    let params = initial_params(&model(), 3);
    let samples = synthetic::dataset(150, 12, 4, 3).train;
    let predictor = Predictor::new(&model(), Device::Flex, &params).expect("the params fit");
    let answer = predictor.predict_bytes(samples.features()).expect("whole rows");
    assert_eq!(answer.len(), 150 * 4);
    let mut right = 0;
    for (row, &label) in answer.chunks(4).zip(samples.labels()) {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6 && row.iter().all(|&value| value >= 0.0), "{row:?}");
        right += u64::from(loss::argmax(row) == usize::from(label));
    }
    let evaluation = Evaluator::new(&model(), Device::Flex).evaluate(&params, &samples).expect("it fits");
    assert_eq!(evaluation.accuracy, right as f64 / 150.0);
}

#[test]
fn bytes_are_the_same_as_their_255ths() {
    let predictor = Predictor::new(&model(), Device::Flex, &initial_params(&model(), 3)).expect("the params fit");
    let bytes: Vec<u8> = (0..24).map(|byte| byte * 10).collect();
    let wide: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
    let (found, expected) = (predictor.predict_bytes(&bytes), predictor.predict(&wide));
    for (found, expected) in found.expect("whole rows").iter().zip(expected.expect("whole rows")) {
        assert!((found - expected).abs() < 1e-6);
    }
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_answered_with_nothing() {
    let params = initial_params(&model(), 3);
    let predictor = Predictor::new(&model(), Device::Flex, &params).expect("the params fit");
    assert_eq!((predictor.inputs(), predictor.classes()), (12, 4));
    assert_eq!(predictor.predict(&[]), Ok(vec![]));
    let error = predictor.predict(&[0.0; 13]).expect_err("a row and a bit");
    assert_eq!(error, ShapeError { what: "features in the last row", expected: 12, found: 1 });
    assert!(matches!(Predictor::new(&model(), Device::Flex, &params[1..]), Err(PredictError::Shape(_))));
    let noop = Predictor::new(&ModelSpec::Noop { params: 2 }, Device::Flex, &[0.0; 2]);
    assert_eq!(noop.err(), Some(PredictError::Noop));
}

#[test]
fn a_predictor_is_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Predictor>();
}
