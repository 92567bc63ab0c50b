"""H2O: MOJO files, with H2O's own scoring library as the reference; see docs/frameworks/h2o.md."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Dict, List, Mapping, Tuple

from converters import h2o_files, h2o_graph, h2o_trees, h2o_xgboost, jvm
from converters.classical.facts import jumps
from zoo.errors import UnsupportedFileError, UnsupportedModelError, UsageError
from zoo.records import ColumnDomain, Domain, Needs, Signature, SourceDescription, record

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from converters.h2o_files import Mojo
    from zoo.records import Artifact, ConversionRequest
    from zoo.tensors import Tensors

TREES = ("gbm", "drf", "isolationforest")


@record
class H2OModel:
    """A file as we parsed it, and as H2O's library loaded it (`native`, a ``EasyPredictModelWrapper``)."""

    parsed: Any
    native: Any


class H2OConverter:
    """Converts MOJOs of trees, networks, linear models, k-means and isolation forests."""

    framework: ClassVar[str] = "h2o"
    title: ClassVar[str] = "H2O"
    requirements: ClassVar[tuple[str, ...]] = ("h2o", "jpype1")
    extra: ClassVar[str] = "h2o"
    revision: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(java=11)

    def load(self, artifact: Artifact, request: ConversionRequest) -> H2OModel:
        """The model, parsed here and loaded by H2O. Option ``ties``: see docs/frameworks/h2o.md.

        Raises `UnsupportedFileError` for a damaged file.
        """
        if request.inputs:
            raise UsageError("a MOJO names its own columns", hint="Leave --input out.")
        ties = request.options.get("ties")
        if ties not in (None, "first"):
            raise UsageError(f"option ties is {ties!r}", hint="`--option ties=first`, or leave it out.")
        parsed = h2o_files.read(artifact.path, ties == "first")
        return H2OModel(parsed, _loaded(artifact.path))

    def describe(self, model: H2OModel, request: ConversionRequest) -> SourceDescription:
        """One matrix X of numbers, or the columns by name: text for categories, float64 for numbers."""
        mojo = model.parsed
        signature = Signature(h2o_graph.inputs(mojo), h2o_graph.outputs(mojo))
        roles = {"label": "label", "probabilities": "probabilities", "scores": "scores"}
        roles.update({"variable": "values", "mean_length": "values"})
        columns = _columns(mojo)
        matrix = len(signature.inputs) == 1 and signature.inputs[0].dtype != "string"
        domains = (Domain(columns),) if matrix else tuple(Domain((column,)) for column in columns)
        return SourceDescription(
            signature=signature,
            domains=domains,
            roles={spec.name: roles[spec.name] for spec in signature.outputs},
            versions={"h2o": distribution("h2o").version},
            notes=_notes(mojo),
        )

    def convert(self, model: H2OModel, request: ConversionRequest) -> onnx.ModelProto:
        """The model as ONNX at opset 21. Raises `UnsupportedModelError` for what is not converted."""
        return h2o_graph.written(model.parsed, request.opset)

    def predict(self, model: H2OModel, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """H2O's answers, row by row; a text that is no category is missing, as in H2O's own ``predict``."""
        import numpy as np

        answers = [_answered(model, row) for row in _rows(model.parsed, feeds)]
        found: Tensors = {}
        for spec in h2o_graph.outputs(model.parsed):
            shape = [size for size in spec.shape[1:] if isinstance(size, int)]
            dtype = np.str_ if spec.dtype == "string" else np.dtype(spec.dtype)
            values = np.array([answer[spec.name] for answer in answers], dtype=dtype)
            found[spec.name] = values.reshape(len(answers), *shape)
        return found


def _loaded(path: Path) -> Any:
    """The model in H2O's library; raises `UnsupportedFileError` with what it says against it."""
    jar = Path(str(distribution("h2o").locate_file("h2o/backend/bin/h2o.jar")))
    jpype = jvm.machine([jar])
    easy = jpype.JClass("hex.genmodel.easy.EasyPredictModelWrapper")
    try:
        loaded = jpype.JClass("hex.genmodel.MojoModel").load(str(path))
        config = jpype.JClass("hex.genmodel.easy.EasyPredictModelWrapper$Config")()
        return easy(config.setModel(loaded).setConvertUnknownCategoricalLevelsToNa(True))
    except jpype.JException as error:
        raise UnsupportedFileError(f"H2O cannot load {path.name}: {jvm.message(error)}") from error


def _columns(mojo: Mojo) -> Tuple[ColumnDomain, ...]:
    """What is known of each column: thresholds and centres, or categories."""
    import numpy as np

    points: Dict[int, List[float]] = {}
    if mojo.algorithm in TREES:
        points = h2o_trees.forest(mojo).thresholds
    elif mojo.algorithm == "xgboost":
        points = h2o_xgboost.thresholds(mojo)
    elif mojo.algorithm == "kmeans":
        centres = np.array([mojo.numbers(f"center_{i}") for i in range(mojo.integer("center_num"))])
        if mojo.flag("standardize"):
            means, factors = (np.array(mojo.numbers(f"standardize_{key}")) for key in ("means", "mults"))
            centres = centres / factors + means
        points = {i: centres[:, i].tolist() for i in range(len(mojo.columns))}
    accepts_missing = mojo.algorithm != "glm" or mojo.flag("mean_imputation")
    return tuple(
        _number(points.get(i, []), accepts_missing) if domain is None else ColumnDomain(categories=domain)
        for i, domain in enumerate(mojo.domains)
    )


def _number(points: List[float], accepts_missing: bool) -> ColumnDomain:
    known = jumps(points).domain
    return ColumnDomain(low=known.low, high=known.high, values=known.values, accepts_nan=accepts_missing)


def _notes(mojo: Mojo) -> Tuple[str, ...]:
    notes = [f"saved by H2O {mojo.info.get('h2o_version', '?')}"]
    if mojo.class_count == 2 and mojo.classes is not None:
        notes.append(
            f"the label is {mojo.classes[1]!r} from a probability of {mojo.real('default_threshold'):g} on"
        )
    if mojo.classes is not None and mojo.class_count > 2 and mojo.algorithm in (*TREES, "xgboost"):
        notes.append(_TIES[mojo.labelled, mojo.first_of_ties])
    if "calib_method" in mojo.info:
        notes.append("the calibrated probabilities, which H2O gives besides, are left out")
    return tuple(notes)


_TIES = {
    (False, False): "no label: H2O draws one of equally likely classes by a hash of the row; "
    "`--option ties=first` gives the first of them",
    (True, True): "of equally likely classes the label is the first; H2O draws one by a hash of the row",
    (
        True,
        False,
    ): "of exactly equally likely classes H2O draws the label by a hash of the row, the graph the first",
}
"""By whether there is a label, and whether the user asked for the first."""


Row = Dict[str, Any]


def _rows(mojo: Mojo, feeds: Mapping[str, np.ndarray]) -> List[Row]:
    """Each row as H2O takes it: floats and texts by the name of their column."""
    import numpy as np

    fed = [np.asarray(feeds[spec.name]) for spec in h2o_graph.inputs(mojo)]
    columns = list(fed[0].T) if len(fed) == 1 and fed[0].shape[1] > 1 else [one.reshape(-1) for one in fed]
    return [dict(zip(mojo.columns, values)) for values in zip(*columns)]


def _answered(model: H2OModel, row: Row) -> Row:
    """H2O's prediction of one row, by the names of our outputs."""
    jpype = jvm.machine([])
    data = jpype.JClass("hex.genmodel.easy.RowData")()
    for (name, value), domain in zip(row.items(), model.parsed.domains):
        data.put(
            name,
            jpype.java.lang.Double(float(value)) if domain is None else jpype.java.lang.String(str(value)),
        )
    try:
        return _told(model.native.predict(data), str(model.native.getModelCategory()), model.parsed)
    except jpype.JException as error:
        raise UnsupportedModelError(f"H2O refuses a row: {jvm.message(error)}") from error


def _first(mojo: Mojo, chances: List[float]) -> str:
    """The first of the likeliest classes, as the user asked."""
    return (mojo.classes or ())[chances.index(max(chances))]


def _told(said: Any, category: str, mojo: Mojo) -> Row:
    if category in ("Binomial", "Multinomial", "Ordinal"):
        chances = [float(p) for p in said.classProbabilities]
        drawn = mojo.first_of_ties and category == "Multinomial"
        return {"label": _first(mojo, chances) if drawn else str(said.label), "probabilities": chances}
    if category == "Clustering":
        return {"label": int(said.cluster)}
    if category == "AnomalyDetection":
        found: Row = {"scores": float(said.normalizedScore), "mean_length": float(said.score)}
        return {**found, "label": int(bool(said.isAnomaly))} if said.isAnomaly is not None else found
    return {"variable": float(said.value)}
