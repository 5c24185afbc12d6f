use super::*;
use syngrad_dataset::synthetic;

fn identity(classes: usize) -> (ModelSpec, Vec<f32>) {
    let model = ModelSpec::Mlp { inputs: classes, hidden: vec![], classes };
    let mut params = vec![0.0; classes * classes + classes];
    (0..classes).for_each(|class| params[class * classes + class] = 100.0);
    (model, params)
}

#[test]
fn scores_are_those_of_the_confusion() {
    let (model, params) = identity(3);
    // Predictions 0, 0, 1, 1, 2 for truths 0, 1, 1, 1, 1.
    let features = [[255, 0, 0], [255, 0, 0], [0, 255, 0], [0, 255, 0], [0, 0, 255]].concat();
    let samples = Samples::new(3, 3, features, vec![0, 1, 1, 1, 1]).expect("valid samples");
    let found = Evaluator::new(&model, Device::Flex).evaluate(&params, &samples).expect("it fits");
    assert_eq!(found.confusion, [[1, 0, 0], [1, 2, 1], [0, 0, 0]]);
    assert_eq!((found.samples, found.accuracy), (5, 0.6));
    assert!((found.loss - 40.0).abs() < 1e-4, "two samples of five lose 100 each: {}", found.loss);
    let classes = found.classes();
    assert_eq!(classes[0], ClassScore { precision: 0.5, recall: 1.0, f1: 2.0 / 3.0, support: 1 });
    assert_eq!(classes[1], ClassScore { precision: 1.0, recall: 0.5, f1: 2.0 / 3.0, support: 4 });
    assert_eq!(classes[2], ClassScore { precision: 0.0, recall: 0.0, f1: 0.0, support: 0 });
}

#[test]
fn every_sample_is_counted_once_whatever_the_batch() {
    let (model, params) = identity(3);
    let mut evaluator = Evaluator::new(&model, Device::Flex);
    for len in [1, 255, 256, 257, 1000] {
        let samples = synthetic::dataset(len, 3, 3, 2).train;
        let found = evaluator.evaluate(&params, &samples).expect("it fits");
        let rows: Vec<u64> = found.confusion.iter().map(|row| row.iter().sum()).collect();
        assert_eq!(rows, samples.histogram());
        assert_eq!(found.samples, u64::from(len));
    }
}

#[test]
fn what_does_not_fit_is_refused_and_a_model_without_outputs_counts_nothing() {
    let (model, params) = identity(3);
    let mut evaluator = Evaluator::new(&model, Device::Flex);
    let samples = synthetic::dataset(4, 2, 3, 2).train;
    assert!(evaluator.evaluate(&params, &samples).is_err());
    assert!(evaluator.evaluate(&params[1..], &samples).is_err());
    let found = Evaluator::new(&ModelSpec::Noop { params: 3 }, Device::Flex).evaluate(&[0.0; 3], &samples);
    assert_eq!(found, Ok(Evaluation::default()));
}

#[test]
fn an_evaluator_may_live_in_a_thread() {
    fn sent<T: Send>() {}
    sent::<Evaluator>();
}
