use bytes::Bytes;
use futures_util::FutureExt as _;
use syngrad_engine::spec::{DataSpec, ModelSpec, Partition};
use syngrad_engine::{Digest, Round, RunId};

use super::*;

fn model(seed: u64) -> Arc<ServedModel> {
    let model = ModelSpec::Mlp { inputs: 4, hidden: vec![3], classes: 2 };
    let params = syngrad_model::initial_params(&model, seed);
    Arc::new(ServedModel {
        params_digest: Digest::of_params(&params),
        params: Arc::new(params),
        run: RunId([1; 16]),
        round: Round(1),
        model_version: seed.to_string(),
        model,
        data: DataSpec::Synthetic { samples: 8, inputs: 4, classes: 2, partition: Partition::Iid {} },
        accuracy: None,
    })
}

fn rows(count: usize) -> Rows {
    Rows::Bytes(Bytes::from(vec![100; 4 * count]))
}

/// A pool whose threads have not begun.
fn idle() -> (Pool, Receiver<Job>) {
    let (jobs, queue) = channel();
    (Pool { jobs, room: Arc::new(Semaphore::new(MAX_ROWS_WAITING)) }, queue)
}

#[tokio::test]
async fn each_answer_is_of_the_model_it_was_asked_of() {
    let pool = Pool::start(Device::default()).expect("threads start");
    for seed in [1, 2, 1, 3, 2] {
        let asked = model(seed);
        let expected = Predictor::new(&asked.model, Device::default(), &asked.params).expect("params fit");
        let expected = expected.predict_bytes(&[100; 8]).expect("whole rows");
        assert_eq!(pool.predict(asked, rows(2), 2).await, Ok(expected), "seed {seed}");
    }
}

#[tokio::test]
async fn more_rows_than_there_is_room_for_are_refused_at_once() {
    let (pool, queue) = idle();
    let mut waiting: Vec<_> = (0..MAX_ROWS_WAITING / MAX_BATCH)
        .map(|_| Box::pin(pool.predict(model(1), rows(MAX_BATCH), MAX_BATCH)))
        .collect();
    for question in &mut waiting {
        assert_eq!(question.now_or_never(), None);
    }
    let refused = pool.predict(model(1), rows(1), 1).await;
    assert_eq!(refused, Err(InferError::Busy { rows: 1, limit: MAX_ROWS_WAITING }));

    thread::spawn(move || work(&Mutex::new(queue), Device::default()));
    for question in waiting {
        assert!(question.await.is_ok());
    }
    assert!(pool.predict(model(1), rows(1), 1).await.is_ok());
}

#[tokio::test]
async fn nobody_computes_for_a_caller_that_has_gone() {
    let (pool, queue) = idle();
    let mut gone = Box::pin(pool.predict(model(1), rows(MAX_BATCH), MAX_BATCH));
    assert_eq!((&mut gone).now_or_never(), None);
    drop(gone);
    assert_eq!(pool.room.available_permits(), MAX_ROWS_WAITING - MAX_BATCH);

    let Pool { jobs, room } = pool;
    drop(jobs);
    work(&Mutex::new(queue), Device::default());
    assert_eq!(room.available_permits(), MAX_ROWS_WAITING);
}

#[tokio::test]
async fn params_that_do_not_fit_are_an_error_and_the_thread_lives_on() {
    let pool = Pool::start(Device::default()).expect("threads start");
    let broken = Arc::new(ServedModel { params: Arc::new(vec![0.0; 3]), ..ServedModel::clone(&model(1)) });
    assert!(matches!(pool.predict(broken, rows(1), 1).await, Err(InferError::Failed { .. })));
    assert!(pool.predict(model(1), rows(1), 1).await.is_ok());
}
