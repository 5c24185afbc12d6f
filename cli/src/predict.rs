//! Asks a coordinator's served model what is on pictures, as any client of the Open Inference Protocol would.

mod answer;

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use bytes::Bytes;
use syngrad_common::{Code, Failure, limits, status};
use syngrad_dataset::picture;
use syngrad_proto::inference::ModelInferRequest;
use syngrad_proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use syngrad_proto::inference::model_infer_request::InferInputTensor;
use tonic::Request;
use tonic::transport::Channel;

pub use answer::{Prediction, Provenance};

/// Pixels of a picture's side, once it is prepared as MNIST's images are.
const SIDE: usize = 28;
/// Pictures of one request: the model is no faster with more.
const BATCH: usize = 64;
/// Time for an answer.
const DEADLINE: Duration = Duration::from_secs(30);
/// The largest picture file, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// Reads a picture file and prepares it as MNIST's images are: 28 × 28 bytes, light ink on black.
///
/// # Errors
/// If the file cannot be read, is larger than 64 MiB, or shows no digit.
pub fn load(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: io::Error| {
        // A file that is not there is a mistake in the command line.
        let code = if error.kind() == io::ErrorKind::NotFound { Code::Usage } else { Code::LocalFile };
        Failure::new(code, format!("{} cannot be read: {error}", path.display()))
    };
    let refused = |why: String| Failure::new(Code::PictureUnreadable, format!("{}: {why}", path.display()));
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_FILE {
        return Err(refused(format!("the file has {size} bytes; a picture may have {MAX_FILE}")));
    }
    let file = fs::read(path).map_err(unreadable)?;
    picture::normalise(&file).map_err(|error| refused(error.to_string()))
}

/// What `model` says about each of `pictures`, 28 × 28 bytes each, in their order.
///
/// # Errors
/// If a picture has another size, the coordinator refuses the question, or its answer is not one.
pub async fn ask(channel: Channel, model: &str, pictures: &[Vec<u8>]) -> Result<Vec<Prediction>, Failure> {
    if let Some((at, odd)) = pictures.iter().enumerate().find(|(_, picture)| picture.len() != SIDE * SIDE) {
        let message = format!("picture {at} has {} bytes; expected {}", odd.len(), SIDE * SIDE);
        return Err(Failure::new(Code::BadInput, message));
    }
    let mut client = GrpcInferenceServiceClient::new(channel)
        .max_decoding_message_size(limits::MAX_MESSAGE)
        .max_encoding_message_size(limits::MAX_MESSAGE);
    let mut predictions = Vec::with_capacity(pictures.len());
    for batch in pictures.chunks(BATCH) {
        let mut request = Request::new(question(model, batch));
        request.set_timeout(DEADLINE);
        let answer = client.model_infer(request).await.map_err(|refused| status::read(&refused))?;
        predictions.extend(answer::read(&answer.into_inner(), batch.len())?);
    }
    Ok(predictions)
}

fn question(model: &str, pictures: &[Vec<u8>]) -> ModelInferRequest {
    let side = i64::try_from(SIDE).expect("28 fits");
    let count = i64::try_from(pictures.len()).expect("a batch is small");
    ModelInferRequest {
        model_name: model.to_owned(),
        inputs: vec![InferInputTensor {
            name: "image".to_owned(),
            datatype: "UINT8".to_owned(),
            shape: vec![count, side, side],
            ..InferInputTensor::default()
        }],
        raw_input_contents: vec![Bytes::from(pictures.concat())],
        ..ModelInferRequest::default()
    }
}

#[cfg(test)]
mod tests;
