"""What a conversion may hold in memory beside the weights themselves."""

from __future__ import annotations

import subprocess
import sys

CONVERSION = """
import resource
from pathlib import Path
from converters.from_tensorflow import TensorFlowConverter
from converters.tensorflow_runtime import quiet, tensorflow, tf2onnx
from zoo.records import Artifact, ConversionRequest

tensorflow(), tf2onnx()
with quiet():
    import keras
    layers = [keras.layers.Dense(3000, activation="relu") for _ in range(3)]
    model = keras.Sequential([keras.Input((3000,)), *layers])
request = ConversionRequest(Artifact(Path("live"), "", 0), "tensorflow", "live")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
proto = TensorFlowConverter().convert(model, request)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(proto.ByteSize(), (peak - before) * 1024)
"""


def test_the_weights_are_held_a_bounded_number_of_times():
    """tf2onnx alone copies them once for each of some forty passes of its optimisers."""
    done = subprocess.run([sys.executable, "-c", CONVERSION], capture_output=True, text=True, check=True)
    size, growth = map(int, done.stdout.split())

    assert size > 100_000_000
    assert growth < 8 * size
