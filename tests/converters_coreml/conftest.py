"""Models that coremltools itself builds, in its own environment."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

BUILDER = """
import logging
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
import coremltools as ct
import numpy as np
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

random = np.random.default_rng(0)


def some(*shape):
    return (random.normal(size=shape) * 0.4).astype(np.float32)


def convolutional(labels):
    global random
    random = np.random.default_rng(0)  # the same weights in all of them
    b = NeuralNetworkBuilder([("image", datatypes.Array(3, 11, 11))], [("prob", datatypes.Array(4))],
                             mode="classifier" if labels else None, disable_rank5_shape_mapping=False)
    b.add_convolution("c1", 3, 6, 3, 3, 2, 2, "same", 1, some(3, 3, 3, 6), some(6), True,
                      input_name="image", output_name="c1")
    b.add_batchnorm("bn", 6, some(6) + 1, some(6), some(6), np.abs(some(6)) + 0.5, "c1", "bn")
    b.add_activation("lrelu", "LEAKYRELU", "bn", "lrelu", params=[0.2])
    b.add_convolution("c2", 1, 6, 2, 2, 1, 1, "valid", 6, some(2, 2, 1, 6), None, False,
                      input_name="lrelu", output_name="c2", padding_top=1, padding_left=1)
    b.add_activation("hard", "SIGMOID_HARD", "c2", "hard", params=[0.25, 0.4])
    b.add_pooling("max", 2, 2, 2, 2, "MAX", "VALID", "hard", "max")
    b.add_pooling("ave", 3, 3, 2, 2, "AVERAGE", "SAME", "lrelu", "ave", exclude_pad_area=False)
    b.add_elementwise("sum", ["max", "ave"], "sum", "ADD")
    b.add_elementwise("cat", ["sum", "ave"], "cat", "CONCAT")
    b.add_activation("elu", "ELU", "cat", "elu", params=0.7)
    b.add_flatten("flat", 1, "elu", "flat")
    b.add_inner_product("fc", some(4, 12 * 3 * 3) * 0.1, some(4), 12 * 3 * 3, 4, True, "flat", "fc")
    b.add_softmax("softmax", "fc", "prob")
    if labels:
        b.set_class_labels(labels, predicted_feature_name="kind", prediction_blob="prob")
    return b


ct.utils.save_spec(convolutional(None).spec, "network.mlmodel")
ct.utils.save_spec(convolutional(["ant", "bee", "cat", "dog"]).spec, "named.mlmodel")
numbered = convolutional([7, 5, 3, 1])
biases = {"red_bias": -1.0, "green_bias": -0.5, "blue_bias": 0.25}
numbered.set_pre_processing_parameters(["image"], is_bgr=False, image_scale=1 / 127.5, **biases)
ct.utils.save_spec(numbered.spec, "numbered.mlmodel")

b = NeuralNetworkBuilder([("x", datatypes.Array(4))], [("y", datatypes.Array(4))],
                         disable_rank5_shape_mapping=False)
b.add_activation("odd", "PRELU", "x", "y", params=np.array([0.1]))
ct.utils.save_spec(b.spec, "prelu.mlmodel")
"""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the models, which are built by the first test that asks."""
    return tmp_path_factory.mktemp("coreml")


@pytest.fixture
def model(environment, built: Path) -> Callable[[str], Path]:
    """``model("network")`` is the file of one of the models of `BUILDER`."""
    interpreter = environment("coreml").interpreter
    if not list(built.glob("*.mlmodel")):
        command = [str(interpreter), "-c", BUILDER]
        done = subprocess.run(command, cwd=built, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return lambda name: built / f"{name}.mlmodel"


@pytest.fixture(scope="session")
def fitted_models() -> dict[str, object]:
    """What scikit-learn fitted; `steps` has the same models as files."""
    from tests.converters_coreml import fitted

    return fitted.models()


@pytest.fixture
def steps(environment, tmp_path_factory: pytest.TempPathFactory, fitted_models) -> Callable[[str], Path]:
    """``steps("trees")`` is the file of one of the models of ``make_steps.py``."""
    from tests.converters_coreml import fitted

    interpreter = environment("coreml").interpreter
    folder = tmp_path_factory.getbasetemp() / "coreml-steps"
    if not folder.exists():
        folder.mkdir()
        command = [str(interpreter), "-I", str(Path(__file__).with_name("make_steps.py")), str(folder)]
        given = json.dumps(fitted.numbers(fitted_models))
        subprocess.run(command, input=given, text=True, check=True)
    return lambda name: folder / f"{name}.mlmodel"
