"""Spark itself, local and in this process: it loads a model and transforms rows.

A session listens on a port of the loopback even where it is alone, so the worker gets a loopback of its own
(`zoo.records.Needs`). No program is started: JPype loads the Java virtual machine.
"""

from __future__ import annotations

import os
import tempfile
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Mapping, Sequence

from converters import jvm
from zoo.errors import UnsupportedFileError, UnsupportedModelError

if TYPE_CHECKING:
    import numpy as np

    from zoo.records import TensorSpec
    from zoo.tensors import Tensors

_OPENED = (
    "java.lang java.lang.invoke java.lang.reflect java.io java.net java.nio java.util java.util.concurrent "
    "java.util.concurrent.atomic jdk.internal.ref sun.nio.ch sun.nio.cs sun.security.action sun.util.calendar"
)
"""Packages of Java's own that Spark looks into: org.apache.spark.launcher.JavaModuleOptions (4.0)."""
_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.log.level": "ERROR",
}


class Session:
    """A Spark that runs in this process, with one model."""

    def __init__(self, folder: Path) -> None:
        os.environ.update(SPARK_LOCAL_IP="127.0.0.1", SPARK_LOCAL_HOSTNAME="localhost")
        jars = Path(str(distribution("pyspark").locate_file("pyspark/jars")))
        opened = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPENED.split()]
        modules = ["--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED"]
        self.jpype = jvm.machine(sorted(jars.glob("*.jar")), [*opened, *modules, "-Duser.name=zoo"])
        self.spark = self._started()
        self.model = self._loaded(folder)

    def transform(
        self, feeds: Mapping[str, np.ndarray], inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
    ) -> Tensors:
        """What Spark writes into the columns of `outputs` for the rows of `feeds`.

        Raises `UnsupportedModelError` where Spark ends with an error, such as for a text that is not known.
        """
        import numpy as np

        try:
            frame = self.spark.createDataFrame(self._rows(feeds, inputs), self._schema(inputs))
            names = [f"`{spec.name}`" for spec in outputs]
            rows = list(self.model.transform(frame).selectExpr(names).collectAsList())
        except self.jpype.JException as error:
            raise UnsupportedModelError(f"Spark refuses these rows: {jvm.message(error)}") from error
        found: Tensors = {}
        for place, spec in enumerate(outputs):
            values = [_plain(row.get(place), len(spec.shape)) for row in rows]
            dtype = np.str_ if spec.dtype == "string" else np.dtype(spec.dtype)
            shape = [size for size in spec.shape[1:] if isinstance(size, int)]
            found[spec.name] = np.array(values, dtype=dtype).reshape(len(rows), *shape)
        return found

    def _started(self) -> Any:
        folder = os.environ.get("TMPDIR", "/tmp")
        builder = self.jpype.JClass("org.apache.spark.sql.SparkSession").builder().master("local[1]")
        places = {"spark.local.dir": folder, "spark.sql.warehouse.dir": f"{folder}/warehouse"}
        for name, value in {**_SETTINGS, **places}.items():
            builder = builder.config(name, value)
        return builder.getOrCreate()

    def _loaded(self, folder: Path) -> Any:
        # By a plain name: Hadoop takes brackets, braces and stars in a path for a pattern.
        plain = Path(tempfile.mkdtemp()) / "model"
        plain.symlink_to(folder.absolute())
        reader = self.jpype.JClass("org.apache.spark.ml.util.DefaultParamsReader")
        try:
            return reader.loadParamsInstance(f"file://{plain}", self.spark)
        except self.jpype.JException as error:
            raise UnsupportedFileError(f"Spark cannot load {folder.name}: {jvm.message(error)}") from error

    def _schema(self, inputs: Sequence[TensorSpec]) -> Any:
        types = self.jpype.JClass("org.apache.spark.sql.types.DataTypes")
        vectors = self.jpype.JClass("org.apache.spark.ml.linalg.SQLDataTypes").VectorType()
        scalars = {"float64": types.DoubleType, "float32": types.FloatType, "string": types.StringType}
        scalars.update({"int64": types.LongType, "int32": types.IntegerType, "bool": types.BooleanType})
        fields = [
            types.createStructField(spec.name, vectors if _is_vector(spec) else scalars[spec.dtype], True)
            for spec in inputs
        ]
        return types.createStructType(fields)

    def _rows(self, feeds: Mapping[str, np.ndarray], inputs: Sequence[TensorSpec]) -> Any:
        rows = self.jpype.JClass("java.util.ArrayList")()
        create = self.jpype.JClass("org.apache.spark.sql.RowFactory").create
        for values in zip(*(self._column(feeds[spec.name], spec) for spec in inputs)):
            rows.add(create(*values))
        return rows

    def _column(self, array: np.ndarray, spec: TensorSpec) -> List[Any]:
        import numpy as np

        lang = self.jpype.java.lang
        if _is_vector(spec):
            dense = self.jpype.JClass("org.apache.spark.ml.linalg.DenseVector")
            doubles = self.jpype.JArray(self.jpype.JDouble)
            return [dense(doubles(row)) for row in np.asarray(array, dtype=np.float64)]
        kinds = {"float64": lang.Double, "float32": lang.Float, "int64": lang.Long, "int32": lang.Integer}
        kinds.update({"bool": lang.Boolean, "string": lang.String})
        return [kinds[spec.dtype](item) for item in np.asarray(array).reshape(-1).tolist()]


def _is_vector(spec: TensorSpec) -> bool:
    return len(spec.shape) == 2 and spec.shape[1] != 1


def _plain(value: Any, rank: int) -> Any:
    """A cell as Python has it: the numbers of a vector, or one value."""
    if rank == 2:
        return list(value.toArray())
    return str(value) if hasattr(value, "codePointAt") else value
