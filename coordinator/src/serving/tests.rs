//! Predictions through the public door: a real server, a real client, a model that changes underneath.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use syngrad_common::transport::{self, AcceptLimits, ServerSecurity};
use syngrad_common::{Code, status};
use syngrad_engine::spec::{DataSpec, ModelSpec, Partition};
use syngrad_engine::{Digest, Round, RunId};
use syngrad_model::{Device, Predictor, argmax, initial_params};
use syngrad_proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use syngrad_proto::inference::infer_parameter::ParameterChoice;
use syngrad_proto::inference::model_infer_request::InferInputTensor;
use syngrad_proto::inference::{
    InferTensorContents, ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelReadyRequest,
    ServerLiveRequest, ServerMetadataRequest, ServerReadyRequest,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::service::RoutesBuilder;
use tonic::transport::Channel;

use crate::served::ServedModel;

type Models = watch::Sender<Option<Arc<ServedModel>>>;
type Client = GrpcInferenceServiceClient<Channel>;

const FEATURES: usize = 784;

fn model(version: u64) -> Arc<ServedModel> {
    let model = ModelSpec::Mlp { inputs: FEATURES, hidden: vec![16], classes: 10 };
    let params = initial_params(&model, version);
    Arc::new(ServedModel {
        params_digest: Digest::of_params(&params),
        params: Arc::new(params),
        run: RunId([3; 16]),
        round: Round(u32::try_from(version).expect("a small number")),
        model_version: version.to_string(),
        model,
        data: DataSpec::Mnist { limit: None, partition: Partition::Iid {} },
        accuracy: Some(0.1),
    })
}

/// A server of whatever the sender holds, and a client of it.
async fn serve(first: Option<Arc<ServedModel>>) -> (Models, Client, SocketAddr) {
    let (models, receiver) = watch::channel(first);
    let mut routes = RoutesBuilder::default();
    super::add_to(&mut routes, receiver, Device::default()).expect("threads start");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let server = transport::server().add_routes(routes.routes());
    tokio::spawn(server.serve_with_incoming(transport::accept(
        listener,
        ServerSecurity::InsecureLoopback,
        AcceptLimits::default(),
        Arc::default(),
    )));
    let channel = Channel::from_shared(format!("http://{address}")).expect("an address").connect().await;
    let client = GrpcInferenceServiceClient::new(channel.expect("the server listens"));
    (models, client.max_encoding_message_size(64 << 20), address)
}

fn images(count: usize) -> Vec<u8> {
    (0..count * FEATURES).map(|at| (at * 7 % 256) as u8).collect()
}

fn question(count: usize) -> ModelInferRequest {
    ModelInferRequest {
        model_name: "mnist".to_owned(),
        inputs: vec![InferInputTensor {
            name: "image".to_owned(),
            datatype: "UINT8".to_owned(),
            shape: vec![count as i64, 28, 28],
            ..InferInputTensor::default()
        }],
        raw_input_contents: vec![Bytes::from(images(count))],
        ..ModelInferRequest::default()
    }
}

fn expected(model: &ServedModel, count: usize) -> Vec<f32> {
    let predictor = Predictor::new(&model.model, Device::default(), &model.params).expect("params fit");
    predictor.predict_bytes(&images(count)).expect("whole rows")
}

fn text(answer: &ModelInferResponse, name: &str) -> String {
    match &answer.parameters[name].parameter_choice {
        Some(ParameterChoice::StringParam(text)) => text.clone(),
        other => panic!("{name} is {other:?}"),
    }
}

async fn refused(client: &mut Client, request: ModelInferRequest) -> (tonic::Code, Code, String) {
    let refusal = client.model_infer(request).await.expect_err("refused");
    let failure = status::read(&refusal);
    (refusal.code(), failure.code, failure.message)
}

#[tokio::test]
async fn raw_and_typed_requests_get_the_same_answer_in_their_own_encoding() {
    let served = model(1);
    let (_models, mut client, _) = serve(Some(Arc::clone(&served))).await;
    let expected = expected(&served, 3);

    let raw = client.model_infer(question(3)).await.expect("an answer").into_inner();
    assert_eq!(raw.raw_output_contents[0], bytes_of(&expected));
    let labels: Vec<u8> = expected.chunks_exact(10).flat_map(|row| (argmax(row) as i64).to_le_bytes()).collect();
    assert_eq!(raw.raw_output_contents[1], labels);

    let mut request = question(3);
    request.raw_input_contents.clear();
    let uint_contents = images(3).into_iter().map(u32::from).collect();
    request.inputs[0].contents = Some(InferTensorContents { uint_contents, ..InferTensorContents::default() });
    let typed = client.model_infer(request).await.expect("an answer").into_inner();
    assert!(typed.raw_output_contents.is_empty());
    assert_eq!(typed.outputs[0].contents.as_ref().expect("typed").fp32_contents, expected);
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[tokio::test]
async fn readiness_follows_the_model() {
    let (models, mut client, _) = serve(None).await;
    assert!(client.server_live(ServerLiveRequest {}).await.expect("an answer").into_inner().live);
    assert!(!client.server_ready(ServerReadyRequest {}).await.expect("an answer").into_inner().ready);
    assert!(!ready(&mut client, "mnist", "").await);
    let (grpc, code, _) = refused(&mut client, question(1)).await;
    assert_eq!((grpc, code), (tonic::Code::Unavailable, Code::ModelNotReady));

    models.send_replace(Some(model(1)));
    assert!(client.server_ready(ServerReadyRequest {}).await.expect("an answer").into_inner().ready);
    for (name, version, expected) in
        [("mnist", "", true), ("mnist", "1", true), ("mnist", "2", false), ("synthetic", "", false), ("", "", false)]
    {
        assert_eq!(ready(&mut client, name, version).await, expected, "{name} {version}");
    }
}

async fn ready(client: &mut Client, name: &str, version: &str) -> bool {
    let request = ModelReadyRequest { name: name.to_owned(), version: version.to_owned() };
    client.model_ready(request).await.expect("not an error").into_inner().ready
}

#[tokio::test]
async fn metadata_names_both_forms_of_the_input() {
    let (_models, mut client, _) = serve(Some(model(7))).await;
    let server = client.server_metadata(ServerMetadataRequest {}).await.expect("an answer").into_inner();
    assert_eq!(
        (server.name.as_str(), server.extensions.as_slice()),
        ("syngrad", ["classification".to_owned()].as_slice())
    );
    let request = ModelMetadataRequest { name: "mnist".to_owned(), version: String::new() };
    let metadata = client.model_metadata(request).await.expect("an answer").into_inner();
    assert_eq!(metadata.versions, ["7"]);
    let tensors: Vec<_> = metadata.inputs.iter().chain(&metadata.outputs).collect();
    let tensors: Vec<_> = tensors.iter().map(|t| (t.name.as_str(), t.datatype.as_str(), t.shape.as_slice())).collect();
    let (image, probabilities, label) = ([-1i64, 784], [-1i64, 10], [-1i64]);
    assert_eq!(
        tensors,
        [
            ("image", "FP32", image.as_slice()),
            ("probabilities", "FP32", probabilities.as_slice()),
            ("label", "INT64", label.as_slice())
        ]
    );
    let also = metadata.inputs[0].tags["also_accepts"].parameter_choice.clone();
    assert_eq!(also, Some(ParameterChoice::StringParam("UINT8 [-1,28,28], 0 to 255".to_owned())));
}

#[tokio::test]
async fn refusals_carry_the_protocols_status_and_a_code_of_ours() {
    let (_models, mut client, _) = serve(Some(model(1))).await;
    let named = |name: &str| ModelInferRequest { model_name: name.to_owned(), ..question(1) };
    let version = ModelInferRequest { model_version: "9".to_owned(), ..question(1) };
    let mut width = question(1);
    width.inputs[0].shape = vec![1, 784];
    for (name, request, grpc, code) in [
        ("unknown model", named("resnet"), tonic::Code::NotFound, Code::ModelNotFound),
        ("a model of another run", named("synthetic"), tonic::Code::NotFound, Code::ModelNotFound),
        ("version", version, tonic::Code::NotFound, Code::ModelNotFound),
        ("shape", width, tonic::Code::InvalidArgument, Code::BadInput),
        ("batch", question(1025), tonic::Code::ResourceExhausted, Code::BatchTooLarge),
        ("message", question(6000), tonic::Code::ResourceExhausted, Code::PayloadTooLarge),
    ] {
        let (grpc_found, code_found, message) = refused(&mut client, request).await;
        assert_eq!((grpc_found, code_found), (grpc, code), "{name}: {message}");
    }
    assert!(client.model_infer(question(1)).await.is_ok());
}

/// While the model is swapped under many callers, every answer's digest is of the params that made it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_of_one_model_whenever_it_is_swapped() {
    let versions: Vec<_> = (0..4).map(model).collect();
    let (models, client, _) = serve(Some(Arc::clone(&versions[0]))).await;
    let answers: Arc<Vec<Vec<u8>>> = Arc::new(versions.iter().map(|model| bytes_of(&expected(model, 2))).collect());
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (mut client, answers) = (client.clone(), Arc::clone(&answers));
            let digests: Vec<_> = versions.iter().map(|model| model.params_digest.to_string()).collect();
            tokio::spawn(async move {
                for _ in 0..50 {
                    let answer = client.model_infer(question(2)).await.expect("an answer").into_inner();
                    let version: usize = text(&answer, "model_version").parse().expect("a number");
                    assert_eq!(text(&answer, "params_digest"), digests[version]);
                    assert_eq!(answer.raw_output_contents[0], answers[version]);
                }
            })
        })
        .collect();
    let swapping = tokio::spawn(async move {
        for turn in 1.. {
            models.send_replace(Some(Arc::clone(&versions[turn % versions.len()])));
            tokio::task::yield_now().await;
        }
    });
    for caller in callers {
        caller.await.expect("every answer was whole");
    }
    swapping.abort();
}

/// A body that never comes, so the call cannot end before its deadline; over bare HTTP/2, because a client of tonic
/// would end it by itself.
#[tokio::test]
async fn a_passed_deadline_is_deadline_exceeded() {
    let (_models, _client, address) = serve(Some(model(1))).await;
    for (deadline, expected) in [
        ("30m", tonic::Code::DeadlineExceeded),
        ("1n", tonic::Code::DeadlineExceeded),
        ("soon", tonic::Code::InvalidArgument),
    ] {
        let status = tokio::time::timeout(Duration::from_secs(10), unfinished_call(address, deadline)).await;
        assert_eq!(status.expect("an answer in time"), i32::from(expected).to_string(), "{deadline}");
    }
}

async fn unfinished_call(address: SocketAddr, deadline: &str) -> String {
    let stream = tokio::net::TcpStream::connect(address).await.expect("the server listens");
    let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let request =
        tonic::codegen::http::Request::post(format!("http://{address}/inference.GRPCInferenceService/ModelInfer"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", deadline)
            .body(())
            .expect("a request");
    let mut requests = requests.ready().await.expect("open");
    let (answer, _body) = requests.send_request(request, false).expect("sent");
    let answer = answer.await.expect("headers");
    let status = answer.headers()["grpc-status"].to_str().expect("a number").to_owned();
    connection.abort();
    status
}

#[tokio::test]
async fn a_batch_at_the_limit_fits_one_message() {
    let (_models, mut client, _) = serve(Some(model(1))).await;
    let mut request = question(1024);
    request.inputs[0].datatype = "FP32".to_owned();
    request.inputs[0].shape = vec![1024, 784];
    request.raw_input_contents = vec![Bytes::from(vec![0; 4 * 1024 * FEATURES])];
    let answer = client.model_infer(request).await.expect("an answer").into_inner();
    assert_eq!(answer.outputs[1].shape, [1024]);
}
