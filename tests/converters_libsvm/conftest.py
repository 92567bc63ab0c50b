"""Models that LIBSVM itself trains, in its own environment."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

TRAINER = """
from pathlib import Path

import numpy as np
from libsvm.svmutil import svm_save_model, svm_train

random = np.random.default_rng(0)
x = random.normal(size=(120, 5)) * [1.0, 3.0, 0.2, 10.0, 1.0]
x[:, 4] = np.where(random.random(120) < 0.6, 0, x[:, 4])  # sparse
centres = x @ random.normal(size=(5, 3)) + random.normal(size=(120, 3))
two = np.array([7, -3])[(centres[:, 0] > 0).astype(int)]
classes = {2: two, 3: np.array([5, 2, 9])[centres.argmax(axis=1)]}
values = centres[:, 0] + 0.1 * random.normal(size=120)
models = {
    "rbf3": (classes[3], "-s 0 -t 2 -g 0.05 -b 1"),
    "rbf2": (classes[2], "-s 0 -t 2 -g 0.05 -b 1"),
    "linear": (classes[3], "-s 0 -t 0"),
    "poly": (classes[3], "-s 1 -n 0.05 -t 1 -d 3 -g 0.02 -r 1"),
    "sigmoid": (classes[2], "-s 0 -t 3 -g 0.01 -r -0.5"),
    "one_class": (values, "-s 2 -n 0.2 -g 0.05"),
    "svr": (values, "-s 3 -t 2 -g 0.05 -p 0.1"),
    "nu_svr": (values, "-s 4 -t 0 -b 1"),
}
for name, (target, options) in models.items():
    svm_save_model(str(Path.cwd() / f"{name}.model"), svm_train(target, x, options + " -q"))
"""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the models, which are trained by the first test that asks."""
    return tmp_path_factory.mktemp("libsvm")


@pytest.fixture
def svm(environment, trained: Path) -> Callable[[str], Path]:
    """``svm("rbf3")`` is the file of one of the models of `TRAINER`."""
    interpreter = environment("libsvm").interpreter
    if not list(trained.glob("*.model")):
        command = [str(interpreter), "-c", TRAINER]
        done = subprocess.run(command, cwd=trained, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return lambda name: trained / f"{name}.model"
