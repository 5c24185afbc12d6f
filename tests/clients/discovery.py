"""grpcurl finds its way by reflection, and the health service answers."""

import json
import os
import subprocess
import sys
import unittest

from served import ADDRESS, MODEL

GRPCURL = os.path.join(os.path.dirname(sys.executable), "grpcurl")


def grpcurl(*arguments):
    command = [GRPCURL, "-plaintext", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if done.returncode != 0:
        raise AssertionError(f"grpcurl {arguments} failed: {done.stderr}")
    return done.stdout


class Discovery(unittest.TestCase):
    def test_every_service_is_listed(self):
        services = grpcurl(ADDRESS, "list").split()
        for service in (
            "grpc.health.v1.Health",
            "inference.GRPCInferenceService",
            "syngrad.v1.RunService",
            "syngrad.v1.TrainingService",
        ):
            self.assertIn(service, services)

    def test_the_six_calls_of_the_protocol_are_there(self):
        methods = grpcurl(ADDRESS, "list", "inference.GRPCInferenceService").split()
        names = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")
        self.assertEqual(sorted(methods), sorted(f"inference.GRPCInferenceService.{name}" for name in names))

    def test_the_server_is_healthy(self):
        for service in ("", "inference.GRPCInferenceService"):
            answer = grpcurl("-d", json.dumps({"service": service}), ADDRESS, "grpc.health.v1.Health/Check")
            self.assertEqual(json.loads(answer), {"status": "SERVING"})

    def test_a_prediction_needs_no_generated_code(self):
        question = {
            "model_name": MODEL,
            "inputs": [
                {
                    "name": "image",
                    "datatype": "UINT8",
                    "shape": [1, 28, 28],
                    "contents": {"uint_contents": [0] * 784},
                }
            ],
        }
        call = "inference.GRPCInferenceService/ModelInfer"
        answer = json.loads(grpcurl("-d", json.dumps(question), ADDRESS, call))
        self.assertEqual(answer["modelName"], MODEL)
        self.assertEqual([output["name"] for output in answer["outputs"]], ["probabilities", "label"])


if __name__ == "__main__":
    unittest.main()
