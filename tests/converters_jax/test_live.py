"""`zoo.export` of what lives in a program: functions, jitted functions, Flax modules.

The program runs in JAX's environment, with zoo and what zoo itself needs behind it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

PROGRAM = """
import json
import sys

sys.path += json.loads(sys.argv[1])
import jax
import numpy as np
import nets
from flax import nnx

import zoo
from zoo.errors import UnsupportedModelError

random = np.random.default_rng(0)
weights = random.normal(size=(6, 4)).astype(np.float32)
rows, images = (random.normal(size=shape).astype(np.float32) for shape in ((5, 6), (5, 8, 8, 3)))


def function(x):
    return jax.nn.gelu(x @ weights, approximate=False)


cnn = nets.Cnn()
bound = cnn.bind(cnn.init(jax.random.key(0), images[:1]))
live = {
    "function": (function, rows),
    "linen": (bound, images),
    "nnx": (nets.Nnx(nnx.Rngs(0)), rows),
}
found = {}
for name, (model, sample) in live.items():
    verified = zoo.export(model, sample, name + ".onnx")
    found[name] = [verified.report.verdict, verified.model.signature.outputs[0].shape]
try:
    zoo.export(cnn, images, "unbound.onnx")
except UnsupportedModelError as error:
    found["unbound"] = [error.message, error.hint]
print(json.dumps(found))
"""


@pytest.mark.network
@pytest.mark.slow
def test_functions_and_modules_are_exported_from_the_program_that_has_them(checkpoint, environment):
    found = environment("jax")
    if found.python.rpartition(".")[0] != f"{sys.version_info[0]}.{sys.version_info[1]}":
        pytest.skip(f"JAX's environment has Python {found.python}: zoo's own packages are for another")
    behind = [str(Path(__file__).parents[2]), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    command = [str(found.interpreter), "-c", PROGRAM, json.dumps(behind)]

    done = subprocess.run(command, cwd=checkpoint("."), capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    shapes = {"function": 4, "linen": 5, "nnx": 3}
    assert {name: answer[name] for name in shapes} == {
        name: ["verified", ["batch", width]] for name, width in shapes.items()
    }
    assert "without its variables" in answer["unbound"][0]
    assert "model.bind(variables)" in answer["unbound"][1]
