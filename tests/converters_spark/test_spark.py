"""Spark's saved models give in ONNX what Spark itself gives, run in the jail with a loopback of its own."""

from __future__ import annotations

import numpy as np
import pytest

import zoo
from converters import spark_files, spark_graph
from zoo.detect import detect
from zoo.errors import MissingJavaError, UnsupportedFileError, UnsupportedModelError, UsageError

CHANCES = {"rawPrediction", "probability", "prediction"}
SCORES = {name + end for name in ("binary", "tree", "forest", "network") for end in ("", "_p", "_raw")}
MODELS = [
    ("classifiers", {*SCORES, "boosted", "probability", "rawPrediction", "svc", "svc_raw"}),
    ("regressors", {"linear", "generalized", "forest", "boosted", "cluster"}),
    ("transformers", {"everything"}),
    ("alone {1,[2]}", {"prediction"}),
]
"""Each is one Java machine's work, which starts for twelve seconds: kinds of model share a pipeline."""


def verified_with(name, outputs, spark, tmp_path):
    verified = zoo.convert(spark(name), tmp_path / "o.onnx")

    assert verified.report.verdict == "verified"
    assert verified.report.reference == "pyspark 4.0.1"
    assert {spec.name for spec in verified.model.signature.outputs} == outputs
    found = [output for case in verified.report.cases for output in case.outputs]
    assert all(output.max_abs < 1e-9 for output in found if output.output.endswith(("probability", "_p")))
    return verified


@pytest.mark.network
@pytest.mark.parametrize(("name", "outputs"), MODELS)
def test_models_are_verified_against_spark(name, outputs, spark, tmp_path):
    verified_with(name, outputs, spark, tmp_path)


@pytest.mark.network
def test_several_classes_have_probabilities_that_add_up_and_names(spark, tmp_path):
    import onnxruntime

    path = verified_with("multinomial", {*CHANCES, "name"}, spark, tmp_path).path
    session = onnxruntime.InferenceSession(str(path))
    numbers = {name: np.array([[0.5], [-2.0]]) for name in "abc"}
    colours = np.array([["red"], ["never seen"]], object)

    chances, names = session.run(["probability", "name"], {**numbers, "colour": colours})

    assert np.allclose(chances.sum(axis=1), 1, atol=1e-12)
    assert [["lo", "mid", "hi"][i] for i in chances.argmax(axis=1)] == list(names)


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "reason"),
    [("bayes", "NaiveBayesModel is not converted"), ("skip", "handleInvalid='skip' leaves rows out")],
)
def test_what_is_not_converted_is_refused_with_the_reason(name, reason, spark, tmp_path):
    with pytest.raises(UnsupportedModelError, match=reason):
        zoo.convert(spark(name), tmp_path / "o.onnx")


@pytest.mark.network
def test_an_input_that_no_stage_reads_is_refused(spark, tmp_path):
    with pytest.raises(UsageError, match="the model has no input 'd'"):
        zoo.convert(spark("forest"), tmp_path / "o.onnx", input=["d:float64[batch,1]"])


@pytest.mark.network
def test_without_a_java_it_is_said_how_to_get_one(spark, tmp_path, monkeypatch):
    folder = spark("forest")
    monkeypatch.setattr("zoo.environments.javas._candidates", lambda: iter(()))

    with pytest.raises(MissingJavaError, match="no Java 17 to 21 was found"):
        zoo.convert(folder, tmp_path / "o.onnx")


# --- the folder -----------------------------------------------------------------------------------------

PIPELINE = "org.apache.spark.ml.PipelineModel"


def test_the_files_of_spark_3_and_4_are_told_alike(written):
    folder = written({"class": PIPELINE})
    part = next((folder / "metadata").glob("part-*"))

    newer = detect(folder)
    part.rename(part.with_name("part-00000"))
    older = detect(folder)

    assert (newer.framework, newer.kind, newer.details["versions"]) == (
        "spark",
        "folder",
        {"pyspark": "4.0.1"},
    )
    assert older == newer


def test_a_stage_that_is_not_converted_is_refused_before_spark_sees_it(written):
    stages = spark_files.stages(written({"class": "com.evil.Model"}))

    with pytest.raises(UnsupportedModelError, match=r"x_1: com\.evil\.Model .*is not converted"):
        spark_graph.written(stages, ())


def test_a_class_that_only_ends_like_a_known_one_is_refused(written):
    stages = spark_files.stages(written({"class": "com.evil.feature.VectorAssembler"}))

    with pytest.raises(UnsupportedModelError, match="is not converted"):
        spark_graph.written(stages, ())


def test_a_class_outside_of_sparks_package_is_refused(written):
    stages = spark_files.stages(written({"class": "feature.VectorAssembler"}))

    with pytest.raises(UnsupportedModelError, match="is not converted"):
        spark_graph.written(stages, ())


BROKEN = {
    "a stage elsewhere": ({"class": PIPELINE, "paramMap": {"stageUids": ["../../../x"]}}, "is missing"),
    "no stages": ({"class": PIPELINE}, "its stages are not told"),
    "an empty pipeline": ({"class": PIPELINE, "paramMap": {"stageUids": []}}, "without stages"),
    "a stage that is missing": ({"class": PIPELINE, "paramMap": {"stageUids": ["a_1"]}}, "'a_1', is missing"),
    "too many stages": ({"class": PIPELINE, "paramMap": {"stageUids": ["a"] * 1001}}, "stages are not told"),
    "no class": ({}, "its metadata cannot be read"),
    "parameters of a wrong kind": ({"class": PIPELINE, "paramMap": [1]}, "its metadata cannot be read"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_damage_is_named(what, written):
    metadata, reason = BROKEN[what]

    with pytest.raises(UnsupportedFileError, match=reason):
        spark_files.stages(written(metadata))


def test_hidden_files_and_links_to_folders_are_passed_over(written, tmp_path):
    folder = written({"class": "org.apache.spark.ml.feature.Binarizer"})
    part = next((folder / "metadata").glob("part-*"))
    part.rename(part.with_name(f".{part.name}"))
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "metadata").symlink_to(folder / "metadata")

    for one in (folder, linked):
        with pytest.raises(UnsupportedFileError, match="it has no metadata"):
            spark_files.stages(one)


def test_a_stage_without_data_is_damaged(written):
    stages = spark_files.stages(written({"class": "org.apache.spark.ml.feature.StandardScalerModel"}))

    with pytest.raises(UnsupportedFileError, match="x_1 has no data"):
        spark_graph.written(stages, ())


def test_a_transformer_without_data_is_written_from_its_metadata(written):
    params = {"inputCol": "x", "outputCol": "y", "threshold": 0.5}
    stages = spark_files.stages(
        written({"class": "org.apache.spark.ml.feature.Binarizer", "paramMap": params})
    )

    found = spark_graph.written(stages, ())

    assert [str(spec) for spec in (*found.inputs, *found.outputs)] == [
        "x:float64[batch,1]",
        "y:float64[batch]",
    ]
    assert found.domains[0].columns[0].values == (0.5,)


@pytest.mark.parametrize(
    "saved",
    [
        {"type": 1, "isTransposed": True, "values": [1, 2, 3, 0, 0, 6]},
        {"type": 1, "isTransposed": False, "values": [1, 0, 2, 0, 3, 6]},
        {
            "type": 0,
            "isTransposed": False,
            "values": [1, 2, 3, 6],
            "colPtrs": [0, 1, 2, 4],
            "rowIndices": [0, 0, 0, 1],
        },
        {
            "type": 0,
            "isTransposed": True,
            "values": [1, 2, 3, 6],
            "colPtrs": [0, 3, 4],
            "rowIndices": [0, 1, 2, 2],
        },
    ],
)
def test_matrices_are_read_in_every_form(saved):
    found = spark_files.matrix({"numRows": 2, "numCols": 3, **saved})

    assert found.tolist() == [[1, 2, 3], [0, 0, 6]]


def test_sparse_vectors_are_read():
    saved = {"type": 0, "size": 4, "indices": [1, 3], "values": [5.0, 7.0]}

    assert spark_files.vector(saved).tolist() == [0, 5, 0, 7]
