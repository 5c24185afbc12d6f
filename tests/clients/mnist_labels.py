"""NVIDIA's Triton client gets right answers from a syngrad coordinator."""

import unittest

import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc
import grpc

from served import ADDRESS, MODEL, features, test_images

COUNT = 100
# The model is right about 97 of 100; the first hundred images are no harder than the rest.
MIN_RIGHT = 95


class MnistLabels(unittest.TestCase):
    def setUp(self):
        self.client = triton.InferenceServerClient(ADDRESS)
        self.addCleanup(self.client.close)
        self.images, self.labels = test_images(COUNT)

    def ask(self, array, datatype, outputs=None, **options):
        tensor = triton.InferInput("image", list(array.shape), datatype)
        tensor.set_data_from_numpy(array)
        return self.client.infer(MODEL, [tensor], outputs=outputs, **options)

    def test_is_live_and_ready(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready(MODEL))
        self.assertFalse(self.client.is_model_ready("no-such-model"))
        self.assertFalse(self.client.is_model_ready(MODEL, "no-such-version"))

    def test_metadata_describes_the_tensors(self):
        self.assertEqual(self.client.get_server_metadata().name, "syngrad")
        metadata = self.client.get_model_metadata(MODEL)
        tensors = {t.name: (t.datatype, list(t.shape)) for t in [*metadata.inputs, *metadata.outputs]}
        self.assertEqual(
            tensors,
            {"image": ("FP32", [-1, 784]), "probabilities": ("FP32", [-1, 10]), "label": ("INT64", [-1])},
        )

    def test_first_hundred_images_get_their_labels(self):
        result = self.ask(features(self.images), "FP32", request_id="first-hundred")
        answered, probabilities = result.as_numpy("label"), result.as_numpy("probabilities")
        self.assertEqual((answered.dtype, answered.shape), (np.int64, (COUNT,)))
        self.assertEqual((probabilities.dtype, probabilities.shape), (np.float32, (COUNT, 10)))
        np.testing.assert_array_equal(answered, probabilities.argmax(axis=1))
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        right = int((answered == self.labels).sum())
        print(f"{right} of {COUNT} right")
        self.assertGreaterEqual(right, MIN_RIGHT)
        self.assertEqual(result.get_response().id, "first-hundred")

    def test_one_image_at_a_time_answers_the_same(self):
        together = self.ask(features(self.images[:10]), "FP32").as_numpy("label")
        alone = [self.ask(features(self.images[at : at + 1]), "FP32").as_numpy("label")[0] for at in range(10)]
        np.testing.assert_array_equal(together, alone)

    def test_bytes_answer_as_their_features(self):
        wide = self.ask(features(self.images), "FP32").as_numpy("probabilities")
        narrow = self.ask(self.images, "UINT8").as_numpy("probabilities")
        np.testing.assert_allclose(narrow, wide, atol=1e-6)

    def test_answers_name_their_params(self):
        response = self.ask(features(self.images[:1]), "FP32").get_response()
        parameters = response.parameters
        self.assertRegex(parameters["run"].string_param, r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        self.assertGreater(parameters["round"].int64_param, 0)
        self.assertRegex(parameters["params_digest"].string_param, r"^[0-9a-f]{64}$")
        version = parameters["model_version"].string_param
        self.assertEqual(version, response.model_version)
        self.assertIn(version, self.client.get_model_metadata(MODEL).versions)
        again = self.ask(features(self.images[:1]), "FP32", model_version=version).get_response()
        self.assertEqual(again.parameters["params_digest"], parameters["params_digest"])

    def test_only_requested_outputs_come(self):
        result = self.ask(features(self.images[:2]), "FP32", outputs=[triton.InferRequestedOutput("label")])
        self.assertEqual([output.name for output in result.get_response().outputs], ["label"])

    def test_classification_names_the_likeliest(self):
        output = triton.InferRequestedOutput("probabilities", class_count=3)
        result = self.ask(features(self.images[:2]), "FP32", outputs=[output, triton.InferRequestedOutput("label")])
        classes = result.as_numpy("probabilities")
        self.assertEqual(classes.shape, (2, 3))
        for row, label in zip(classes, result.as_numpy("label")):
            values, indices = zip(*(entry.decode().split(":") for entry in row))
            self.assertEqual(int(indices[0]), label)
            self.assertEqual(sorted(values, key=float, reverse=True), list(values))

    def test_typed_contents_get_typed_contents(self):
        with grpc.insecure_channel(ADDRESS) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            request = service_pb2.ModelInferRequest(model_name=MODEL)
            tensor = request.inputs.add(name="image", datatype="FP32", shape=[1, 784])
            tensor.contents.fp32_contents.extend(features(self.images[:1]).ravel().tolist())
            response = stub.ModelInfer(request)
        self.assertFalse(response.raw_output_contents)
        contents = {output.name: output.contents for output in response.outputs}
        raw = self.ask(features(self.images[:1]), "FP32")
        np.testing.assert_array_equal(contents["probabilities"].fp32_contents, raw.as_numpy("probabilities")[0])
        np.testing.assert_array_equal(contents["label"].int64_contents, raw.as_numpy("label"))


if __name__ == "__main__":
    unittest.main()
