"""Models that H2O itself trains, in its own environment, and MOJOs written by hand."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.environments.javas import find_java
from zoo.errors import MissingJavaError

TRAINER = """
import socket
import sys
from pathlib import Path

import h2o
import numpy as np
from h2o.estimators import (
    H2OAutoEncoderEstimator,
    H2ODeepLearningEstimator,
    H2OGeneralizedLinearEstimator,
    H2OGradientBoostingEstimator,
    H2OIsolationForestEstimator,
    H2OKMeansEstimator,
    H2OPrincipalComponentAnalysisEstimator,
    H2ORandomForestEstimator,
    H2OXGBoostEstimator,
)

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
options = {"nthreads": 1, "max_mem_size": "1g", "bind_to_localhost": True, "log_level": "ERRR"}
h2o.init(ip="127.0.0.1", port=port, **options)
h2o.no_progress()
random = np.random.default_rng(0)
rows = 300
x = random.normal(size=(rows, 3)) * [1.0, 10.0, 0.1]
colour = random.choice(["red", "green", "blue", "dark red"], rows)
town = np.array([f"t{i}" for i in random.integers(0, 40, rows)])
score = x[:, 0] + (colour == "red") * 2 + x[:, 1] / 10 + np.char.str_len(town) - 3
score += 0.2 * random.normal(size=rows)
frame = h2o.H2OFrame(
    {
        "a": x[:, 0].tolist(),
        "b": x[:, 1].tolist(),
        "c": [None if random.random() < 0.1 else value for value in x[:, 2].tolist()],
        "colour": colour.tolist(),
        "town": town.tolist(),
        "y": score.tolist(),
        "count": np.round(np.exp(np.clip(score, -2, 2))).tolist(),
        "two": np.where(score > 0, "yes", "no").tolist(),
        "three": np.array(["lo", "mid", "hi"])[np.digitize(score, [-1, 1])].tolist(),
    },
    column_types={"colour": "enum", "town": "enum", "two": "enum", "three": "enum"},
)
numbers, everything = ["a", "b", "c"], ["a", "b", "c", "colour", "town"]
small = {"ntrees": 6, "max_depth": 4, "seed": 1}
xgboost, deep = H2OXGBoostEstimator, H2ODeepLearningEstimator
layers = {"hidden": [5, 4], "epochs": 2, "seed": 1, "reproducible": True}
tweedie, skipping = {"tweedie_variance_power": 1.5}, {"missing_values_handling": "skip"}
gbm, forest, glm = H2OGradientBoostingEstimator, H2ORandomForestEstimator, H2OGeneralizedLinearEstimator
models = {
    "gbm_regression": (gbm(**small), everything, "y"),
    "gbm_poisson": (gbm(distribution="poisson", **small), numbers, "count"),
    "gbm_two": (gbm(**small), everything, "two"),
    "gbm_balanced": (gbm(balance_classes=True, **small), numbers, "two"),
    "gbm_three": (gbm(**small), everything, "three"),
    "drf_regression": (forest(**small), everything, "y"),
    "drf_two": (forest(**small), everything, "two"),
    "drf_double": (forest(binomial_double_trees=True, **small), numbers, "two"),
    "drf_three": (forest(**small), everything, "three"),
    "glm_gaussian": (glm(family="gaussian", lambda_=0.001), everything, "y"),
    "glm_poisson": (glm(family="poisson", lambda_=0.001), everything, "count"),
    "glm_tweedie": (glm(family="tweedie", tweedie_link_power=0, **tweedie), numbers, "count"),
    "glm_two": (glm(family="binomial", lambda_=0.001), everything, "two"),
    "glm_levels": (glm(lambda_=0.0, family="binomial", **skipping), ["a", "b", "colour"], "two"),
    "glm_three": (glm(family="multinomial", lambda_=0.001), everything, "three"),
    "glm_ordinal": (glm(family="ordinal", lambda_=0.001), numbers, "three"),
    "xgboost_two": (xgboost(**small), everything, "two"),
    "xgboost_three": (xgboost(**small), everything, "three"),
    "xgboost_sparse": (xgboost(dmatrix_type="sparse", **small), everything, "y"),
    "xgboost_poisson": (xgboost(distribution="poisson", **small), numbers, "count"),
    "xgboost_dart": (xgboost(booster="dart", **small), numbers, "y"),
    "kmeans": (H2OKMeansEstimator(k=4, seed=1), everything, None),
    "kmeans_raw": (H2OKMeansEstimator(k=3, seed=1, standardize=False), numbers, None),
    "isolation": (H2OIsolationForestEstimator(ntrees=6, max_depth=5, seed=1), everything, None),
    "isolation_flag": (
        H2OIsolationForestEstimator(ntrees=6, max_depth=5, seed=1, contamination=0.1), numbers, None
    ),
    "deep_regression": (deep(activation="tanh", **layers), everything, "y"),
    "deep_poisson": (deep(distribution="poisson", standardize=False, **layers), numbers, "count"),
    "deep_two": (deep(activation="maxout_with_dropout", **layers), everything, "two"),
    "deep_three": (deep(activation="rectifier_with_dropout", **layers), everything, "three"),
    "autoencoder": (H2OAutoEncoderEstimator(hidden=[2], epochs=1, seed=1), numbers, None),
    "pca": (H2OPrincipalComponentAnalysisEstimator(k=2), numbers, None),
    "one_hot": (gbm(categorical_encoding="one_hot_explicit", **small), everything, "y"),
}
for name, (model, columns, target) in models.items():
    model.train(x=columns, y=target, training_frame=frame)
    model.download_mojo(str(Path.cwd() / f"{name}.zip"))
h2o.cluster().shutdown()
"""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the models, which are trained by the first test that asks."""
    return tmp_path_factory.mktemp("h2o")


@pytest.fixture
def mojo(environment, trained: Path) -> Callable[[str], Path]:
    """``mojo("gbm_two")`` is the file of one of the models of `TRAINER`; skips where there is no Java."""
    try:
        find_java(11)
    except MissingJavaError as error:
        pytest.skip(f"{error.message}: {error.hint}")
    interpreter = environment("h2o").interpreter
    if not list(trained.glob("*.zip")):
        command = [str(interpreter), "-c", TRAINER]
        done = subprocess.run(command, cwd=trained, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return lambda name: trained / f"{name}.zip"


INI = """[info]
h2o_version = 3.46.0.11
mojo_version = 1.40
algo = gbm
algorithm = Gradient Boosting Machine
category = Regression
supervised = true
n_features = 2
n_classes = 1
n_columns = 3
n_domains = 1
n_trees = 1
n_trees_per_class = 1
_genmodel_encoding = AUTO
distribution = gaussian
link_function = identity
init_f = 0.5

[columns]
size
colour
y

[domains]
1: 3 d000.txt
"""

LEAF = bytes.fromhex("00ffff0000803f")
"""A tree that is one leaf, 1.0."""


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """``written({"model.ini": …})`` is a MOJO with these members instead of those of a small one."""

    def write(changed: dict[str, str | bytes | None]) -> Path:
        members: dict[str, str | bytes | None] = {
            "model.ini": INI,
            "domains/d000.txt": "blue\ngreen\nred\n",
            "trees/t00_000.bin": LEAF,
            **changed,
        }
        with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                if content is not None:
                    archive.writestr(name, content)
        return tmp_path / "m.zip"

    return write
