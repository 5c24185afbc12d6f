"""Bad requests are refused with the status that clients of the protocol expect, and in words."""

import unittest

import grpc
import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from served import ADDRESS, MODEL


def asking(array, datatype="FP32", name="image"):
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    return [tensor]


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype=dtype)


class Refusals(unittest.TestCase):
    def setUp(self):
        self.client = triton.InferenceServerClient(ADDRESS)
        self.addCleanup(self.client.close)

    def refused(self, status, words, inputs, model=MODEL, **options):
        with self.assertRaises(InferenceServerException) as caught:
            self.client.infer(model, inputs, **options)
        self.assertEqual(caught.exception.status(), f"StatusCode.{status}")
        for word in words:
            self.assertIn(word, caught.exception.message())

    def test_unknown_model_and_version(self):
        self.refused("NOT_FOUND", ["no-such-model", "mnist"], asking(zeros(1, 784)), model="no-such-model")
        self.refused("NOT_FOUND", ["no-such-version"], asking(zeros(1, 784)), model_version="no-such-version")
        with self.assertRaises(InferenceServerException) as caught:
            self.client.get_model_metadata("no-such-model")
        self.assertEqual(caught.exception.status(), "StatusCode.NOT_FOUND")

    def test_name_shape_and_datatype(self):
        self.refused("INVALID_ARGUMENT", ["picture", "image"], asking(zeros(1, 784), name="picture"))
        self.refused("INVALID_ARGUMENT", ["[1,783]", "[-1,784]"], asking(zeros(1, 783)))
        self.refused("INVALID_ARGUMENT", ["[784]", "[-1,784]"], asking(zeros(784)))
        self.refused("INVALID_ARGUMENT", ["FP64", "FP32"], asking(zeros(1, 784, dtype=np.float64), "FP64"))
        self.refused("INVALID_ARGUMENT", ["[1,784]", "[-1,28,28]"], asking(zeros(1, 784, dtype=np.uint8), "UINT8"))

    def test_not_a_number(self):
        for value in (np.nan, np.inf, -np.inf):
            image = zeros(2, 784)
            image[1, 5] = value
            self.refused("INVALID_ARGUMENT", ["row 1, feature 5"], asking(image))

    def test_missing_and_doubled_inputs(self):
        self.refused("INVALID_ARGUMENT", ["image", "missing"], [])
        self.refused("INVALID_ARGUMENT", ["2 times"], asking(zeros(1, 784)) * 2)

    def test_unknown_output(self):
        outputs = [triton.InferRequestedOutput("logits")]
        self.refused("INVALID_ARGUMENT", ["logits", "probabilities"], asking(zeros(1, 784)), outputs=outputs)

    def test_batch_over_the_limit(self):
        self.refused("RESOURCE_EXHAUSTED", ["1025", "1024"], asking(zeros(1025, 784)))

    def test_message_over_the_limit(self):
        self.refused("RESOURCE_EXHAUSTED", ["send the batch in parts"], asking(zeros(5000, 784)))

    def test_byte_length(self):
        with grpc.insecure_channel(ADDRESS) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            for length in (0, 3135, 3137):
                request = service_pb2.ModelInferRequest(model_name=MODEL, raw_input_contents=[bytes(length)])
                request.inputs.add(name="image", datatype="FP32", shape=[1, 784])
                with self.assertRaises(grpc.RpcError) as caught:
                    stub.ModelInfer(request)
                self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
                self.assertIn(f"{length} bytes; expected 3136", caught.exception.details())

    def test_a_good_request_after_all_that(self):
        result = self.client.infer(MODEL, asking(zeros(1, 784)))
        self.assertEqual(result.as_numpy("label").shape, (1,))


if __name__ == "__main__":
    unittest.main()
