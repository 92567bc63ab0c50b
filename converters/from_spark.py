"""Spark ML: saved models and pipelines, with Spark itself as the reference; see docs/frameworks/spark.md."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar, Mapping

from converters import spark_files, spark_graph
from converters.spark_session import Session
from zoo.records import Needs, Signature, SourceDescription, record

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from zoo.records import Artifact, ConversionRequest
    from zoo.tensors import Tensors


@record
class SparkModel:
    """The graph that was written from a folder, and the folder as Spark loaded it (`session`)."""

    written: Any
    session: Any
    saved_by: str


class SparkConverter:
    """Converts pipelines of feature transformers, linear models, networks, trees, forests and k-means."""

    framework: ClassVar[str] = "spark"
    title: ClassVar[str] = "Spark ML"
    requirements: ClassVar[tuple[str, ...]] = ("pyspark", "jpype1", "pyarrow")
    extra: ClassVar[str] = "spark"
    revision: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(java=17, java_newest=21, loopback=True)

    def load(self, artifact: Artifact, request: ConversionRequest) -> SparkModel:
        """The model, read here and loaded by Spark.

        Raises `UnsupportedFileError` for a damaged folder and, before Spark sees it, `UnsupportedModelError`
        for a stage that is not converted.
        """
        stages = spark_files.stages(artifact.path)
        written = spark_graph.written(stages, request.inputs)
        return SparkModel(written, Session(artifact.path), stages[0].version)

    def describe(self, model: SparkModel, request: ConversionRequest) -> SourceDescription:
        """The columns that no stage writes, as inputs [batch, width] under their names."""
        found = model.written
        return SourceDescription(
            signature=Signature(found.inputs, found.outputs),
            domains=found.domains,
            roles=found.roles,
            versions={"pyspark": version("pyspark")},
            notes=(f"saved by Spark {model.saved_by}",),
        )

    def convert(self, model: SparkModel, request: ConversionRequest) -> onnx.ModelProto:
        """The model as ONNX at opset 21."""
        built: onnx.ModelProto = model.written.model(request.opset)
        return built

    def predict(self, model: SparkModel, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """What Spark's ``transform`` writes into the output columns."""
        found: Tensors = model.session.transform(feeds, model.written.inputs, model.written.outputs)
        return found
