"""A saved Spark ML model: a folder with ``metadata`` (one line of JSON) and ``data`` (Parquet), stages below.

Source: org.apache.spark.ml.util.DefaultParamsReader and Pipeline.SharedReadWrite of Spark 4.0. Spark loads
whatever class the metadata names; here only those are read on that the graph can say.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Tuple

from zoo.errors import UnsupportedFileError
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np

LARGEST_METADATA = 16 << 20
MOST_STAGES = 1000
_PIPELINE = "org.apache.spark.ml.PipelineModel"
_PREFIX = "org.apache.spark.ml."


@record
class Stage:
    """One fitted stage: `kind` is its class without Spark ML's package, `extra` the rest of its metadata."""

    folder: Path
    kind: str
    uid: str
    version: str
    params: Dict[str, Any]
    extra: Dict[str, Any]

    def param(self, name: str) -> Any:
        """The value of a parameter, None where it is not set and has no default."""
        return self.params.get(name)

    def column(self, name: str) -> str:
        """The name of a column, from a parameter that must be set."""
        value = self.params.get(name)
        if not isinstance(value, str) or not value:
            raise damaged(self.folder, f"{self.uid} has no {name}")
        return value

    def columns(self, one: str, several: str) -> List[str]:
        """The names in `several`, or the one in `one`."""
        value = self.params.get(several)
        return [str(name) for name in value] if value else [self.column(one)]

    def rows(self, name: str = "data") -> List[Dict[str, Any]]:
        """All rows of a Parquet folder of the stage."""
        files = [path for path in _plain_files(self.folder / name) if path.name.endswith(".parquet")]
        if not files:
            raise damaged(self.folder, f"{self.uid} has no {name}")
        parquet = import_module("pyarrow.parquet")
        try:
            return [row for path in files for row in parquet.ParquetFile(path).read().to_pylist()]
        except (OSError, ValueError) as error:
            raise damaged(self.folder, f"{name} of {self.uid}: {error}") from error

    def row(self, name: str = "data") -> Dict[str, Any]:
        """The only row of a Parquet folder."""
        rows = self.rows(name)
        if len(rows) != 1:
            raise damaged(self.folder, f"{name} of {self.uid} has {len(rows)} rows")
        return rows[0]


def stages(folder: Path) -> Tuple[Stage, ...]:
    """The stages of a model in order; a pipeline in a pipeline is opened, a single model is one stage.

    Raises `UnsupportedFileError` for a folder that does not hold together.
    """
    found = tuple(_opened(folder, 0))
    if not found:
        raise damaged(folder, "a pipeline without stages")
    return found


def _opened(folder: Path, depth: int) -> Iterator[Stage]:
    stage = _stage(folder)
    if stage.kind != _PIPELINE:
        yield stage
        return
    uids = stage.extra.get("stageUids") or stage.params.get("stageUids")
    if not isinstance(uids, list) or len(uids) > MOST_STAGES or depth > 8:
        raise damaged(folder, "its stages are not told")
    below = folder / "stages"
    held = {path.name for path in below.iterdir() if path.is_dir()} if below.is_dir() else set()
    for number, uid in enumerate(uids):
        name = f"{number:0{len(str(len(uids)))}d}_{uid}"
        if name not in held or (below / name).is_symlink():
            raise damaged(folder, f"stage {number}, {uid!r}, is missing")
        yield from _opened(below / name, depth + 1)


def _stage(folder: Path) -> Stage:
    parts = [path for path in _plain_files(folder / "metadata") if path.name.startswith("part-")]
    if not parts or parts[0].stat().st_size > LARGEST_METADATA:
        raise damaged(folder, "it has no metadata")
    try:
        said = json.loads(parts[0].read_text(encoding="utf-8").split("\n")[0])
        kind, uid = str(said.pop("class")), str(said.pop("uid"))
        params = {**said.pop("defaultParamMap", {}), **said.pop("paramMap")}
        version = str(said.pop("sparkVersion"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(folder, f"its metadata cannot be read: {error}") from error
    if kind != _PIPELINE:
        kind = kind[len(_PREFIX) :] if kind.startswith(_PREFIX) else f"{kind} (not Spark's own)"
    return Stage(folder, kind, uid, version, params, said)


def _plain_files(folder: Path) -> List[Path]:
    """Regular files of a folder by name, without those that Spark passes over: with . or _ in front."""
    if not folder.is_dir() or folder.is_symlink():
        return []
    found = [path for path in sorted(folder.iterdir()) if path.name[0] not in "._"]
    return [path for path in found if path.is_file()]


def damaged(folder: Path, reason: str) -> UnsupportedFileError:
    """The error for a folder that does not hold together."""
    return UnsupportedFileError(f"{folder.name} is no Spark ML model that can be read: {reason}")


def vector(value: Dict[str, Any]) -> np.ndarray:
    """A saved vector, dense or sparse, as float64."""
    import numpy as np

    values = np.array(value["values"], dtype=np.float64)
    if value["type"] == 1:
        return values
    dense = np.zeros(int(value["size"]))
    dense[np.array(value["indices"], dtype=np.int64)] = values
    return dense


def matrix(value: Dict[str, Any]) -> np.ndarray:
    """A saved matrix, dense or sparse, by rows or by columns, as float64."""
    import numpy as np

    rows, columns = int(value["numRows"]), int(value["numCols"])
    by_rows, values = bool(value["isTransposed"]), np.array(value["values"], dtype=np.float64)
    if value["type"] == 1:
        return values.reshape(rows, columns) if by_rows else values.reshape(columns, rows).T
    starts = np.array(value["colPtrs"], dtype=np.int64)
    inner = np.array(value["rowIndices"], dtype=np.int64)
    outer = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    dense = np.zeros((rows, columns))
    dense[(outer, inner) if by_rows else (inner, outer)] = values
    return dense
