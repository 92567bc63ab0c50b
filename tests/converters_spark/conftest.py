"""Models that Spark itself fits, in its own environment, and folders written by hand."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.environments.javas import find_java
from zoo.errors import MissingJavaError

TRAINER = """
from pathlib import Path

import numpy as np
from pyspark.ml import Pipeline
from pyspark.ml.classification import *
from pyspark.ml.clustering import *
from pyspark.ml.feature import *
from pyspark.ml.regression import *
from pyspark.sql import SparkSession

settings = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "1"}
places = dict.fromkeys(("spark.driver.host", "spark.driver.bindAddress"), "127.0.0.1")
spark = SparkSession.builder.master("local[1]").config(map={**settings, **places}).getOrCreate()
random = np.random.default_rng(0)
rows = 150
x = random.normal(size=(rows, 3)) * [1.0, 10.0, 0.1]
colour = random.choice(["red", "green", "blue", "dark red"], rows)
score = x[:, 0] + (colour == "red") * 2 + x[:, 1] / 10 + 0.2 * random.normal(size=rows)
names = ["a", "b", "c", "colour", "y", "two", "three", "count"]
targets = (score, score > 0, np.digitize(score, [-1, 1]), np.round(np.exp(np.clip(score, -2, 2))))
values = zip(*x.T.tolist(), colour.tolist(), *(target.astype(float).tolist() for target in targets))
frame = spark.createDataFrame(list(values), names).cache()
numbers = VectorAssembler(inputCols=["a", "b", "c"], outputCol="features")
index = StringIndexer(inputCol="colour", outputCol="code", handleInvalid="keep")
strict = StringIndexer(inputCol="colour", outputCol="code")
hot = OneHotEncoder(inputCols=["code"], outputCols=["hot"])
raw = VectorAssembler(inputCols=["a", "b", "c", "hot"], outputCol="raw")
scaled = StandardScaler(inputCol="raw", outputCol="features", withMean=True)
small = {"maxDepth": 3, "seed": 1}
ranged = MinMaxScaler(inputCol="v", outputCol="r")
largest = MaxAbsScaler(inputCol="features", outputCol="s")
buckets = Bucketizer(splits=[-float("inf"), -1.0, 0.0, 1.0, float("inf")], inputCol="a", outputCol="bucket")
both = VectorAssembler(inputCols=["bucket", "b"], outputCol="v")
back = IndexToString(inputCol="prediction", outputCol="name", labels=["lo", "mid", "hi"])


def columns(name):
    return {"predictionCol": name, "probabilityCol": f"{name}_p", "rawPredictionCol": f"{name}_raw"}


svc = {"featuresCol": "s", "predictionCol": "svc", "rawPredictionCol": "svc_raw"}
poisson = {"family": "poisson", "link": "log", "labelCol": "count"}
trees = {**small, "numTrees": 4}
pipelines = {
    "multinomial": [index, hot, raw, scaled, LogisticRegression(labelCol="three", maxIter=5), back],
    "classifiers": [
        strict,
        numbers,
        largest,
        LogisticRegression(labelCol="two", maxIter=5, threshold=0.3, **columns("binary")),
        DecisionTreeClassifier(labelCol="three", maxDepth=4, **columns("tree")),
        RandomForestClassifier(labelCol="three", **trees, **columns("forest")),
        GBTClassifier(labelCol="two", maxIter=3, **small, predictionCol="boosted"),
        LinearSVC(labelCol="two", **svc),
        MultilayerPerceptronClassifier(
            labelCol="three", layers=[3, 4, 3], seed=1, maxIter=5, **columns("network")
        ),
    ],
    "regressors": [
        index,
        VectorAssembler(inputCols=["a", "b", "code"], outputCol="features"),
        buckets,
        both,
        ranged,
        LinearRegression(featuresCol="r", labelCol="y", predictionCol="linear"),
        GeneralizedLinearRegression(predictionCol="generalized", **poisson),
        RandomForestRegressor(labelCol="y", predictionCol="forest", **trees),
        GBTRegressor(labelCol="y", predictionCol="boosted", maxIter=3, **small),
        KMeans(k=3, seed=1, predictionCol="cluster"),
    ],
    "forest": [numbers, RandomForestClassifier(labelCol="three", **trees)],
    "bayes": [buckets, both, NaiveBayes(featuresCol="v", labelCol="three", modelType="gaussian")],
    "skip": [StringIndexer(inputCol="colour", outputCol="code", handleInvalid="skip"), hot],
}
bounds = [[-9.0, 0.0, 9.0], [-99.0, -5.0, 5.0, 99.0]]
pipelines["transformers"] = [
    StringIndexer(inputCols=["colour"], outputCols=["i"], handleInvalid="keep"),
    OneHotEncoder(inputCol="i", outputCol="o", dropLast=False, handleInvalid="keep"),
    Bucketizer(splitsArray=bounds, inputCols=["a", "b"], outputCols=["p", "q"]),
    Binarizer(thresholds=[0.1, 2.0], inputCols=["a", "b"], outputCols=["r", "s"]),
    numbers,
    Normalizer(inputCol="features", outputCol="n", p=1.0),
    StandardScaler(inputCol="features", outputCol="t"),
    PCA(k=2, inputCol="n", outputCol="u"),
    VectorAssembler(inputCols=["o", "p", "q", "r", "s", "n", "t", "u"], outputCol="everything"),
]
folder = Path.cwd()
for name, steps in pipelines.items():
    Pipeline(stages=steps).fit(frame).write().save(str(folder / name))
tree = DecisionTreeRegressor(labelCol="y", maxDepth=3).fit(numbers.transform(frame))
tree.write().save(str(folder / "alone"))
"""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the models, which are fitted by the first test that asks."""
    return tmp_path_factory.mktemp("spark")


@pytest.fixture
def spark(environment, trained: Path) -> Callable[[str], Path]:
    """``spark("tree")`` is the folder of one of the models of `TRAINER`; skips where there is no Java."""
    try:
        java = find_java(17, 21)
    except MissingJavaError as error:
        pytest.skip(f"{error.message}: {error.hint}")
    interpreter = environment("spark").interpreter
    if not list(trained.iterdir()):
        command = [str(interpreter), "-c", TRAINER]
        variables = {**os.environ, "JAVA_HOME": str(java.home), "SPARK_LOCAL_IP": "127.0.0.1"}
        done = subprocess.run(
            command, cwd=trained, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (trained / "alone").rename(trained / "alone {1,[2]}")  # Hadoop would take such a name for a pattern
    return lambda name: trained / name


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """``written({"class": …}, "name")`` is a folder with this metadata, as Spark 4 names its files."""

    def write(metadata: dict[str, object], name: str = "model") -> Path:
        folder = tmp_path / name
        (folder / "metadata").mkdir(parents=True)
        said = {"uid": "x_1", "sparkVersion": "4.0.1", "paramMap": {}, "defaultParamMap": {}, **metadata}
        (folder / "metadata" / "part-00000-5b-c000.txt").write_text(json.dumps(said) + "\n")
        (folder / "metadata" / "_SUCCESS").touch()
        return folder

    return write
