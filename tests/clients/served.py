"""Where the served model is, and MNIST's test set to ask it about."""

import gzip
import os
import struct

import numpy as np

ADDRESS = os.environ["SYNGRAD_ADDRESS"]
MODEL = "mnist"


def test_images(count):
    """The first images of the test set as uint8 [count, 28, 28], and their labels."""
    folder = os.environ["SYNGRAD_MNIST"]
    images = _idx(os.path.join(folder, "t10k-images-idx3-ubyte.gz"), dimensions=3)
    labels = _idx(os.path.join(folder, "t10k-labels-idx1-ubyte.gz"), dimensions=1)
    return images[:count], labels[:count].astype(np.int64)


def features(images):
    """The model's FP32 form of images: [n, 784], 0 to 1."""
    return (images.reshape(len(images), -1) / np.float32(255)).astype(np.float32)


def _idx(path, dimensions):
    with gzip.open(path, "rb") as file:
        content = file.read()
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)
