"""Core ML's models of features (.mlmodel): trees, linear models and transformers, alone or in a pipeline.

Source: Model.proto, TreeEnsemble.proto, GLMClassifier.proto and the like of coremltools 9. A pipeline is read
as one list of steps. Every value is a matrix [batch, width]; a dictionary is the columns of its keys.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Iterator, Mapping, Optional, Tuple

from converters import coreml_trees
from converters.coreml_files import HINT
from zoo.errors import UnsupportedModelError
from zoo.records import record

PIPELINES = ("pipeline", "pipelineClassifier", "pipelineRegressor")
CLASSIFIERS = ("treeEnsembleClassifier", "glmClassifier")
REGRESSORS = ("treeEnsembleRegressor", "glmRegressor", "supportVectorRegressor")
TRANSFORMERS = (
    "scaler",
    "imputer",
    "oneHotEncoder",
    "featureVectorizer",
    "arrayFeatureExtractor",
    "identity",
)
KINDS = (*PIPELINES, *CLASSIFIERS, *REGRESSORS, *TRANSFORMERS)
_ARRAYS = {65600: "float64", 65568: "float32", 131104: "int32"}
"""ArrayFeatureType.ArrayDataType."""


@record
class Kind:
    """The type of a feature: `width` is None of a single number or text, 0 of a dictionary."""

    dtype: str
    width: Optional[int]

    @property
    def columns(self) -> int:
        return 1 if self.width is None else self.width


@record
class Step:
    """One model: `kind` and `parameters` are the specification's, `widths` those of its inputs.

    `outputs` are names with their types; of a classifier the label first, then the probabilities if given.
    `trees` are the `coreml_trees.Nodes` of an ensemble.
    """

    kind: str
    parameters: Any
    where: str
    inputs: Tuple[str, ...]
    widths: Tuple[int, ...]
    outputs: Tuple[Tuple[str, Kind], ...]
    width: int = 0
    trees: Tuple[Any, ...] = ()

    def refuse(self, reason: str) -> UnsupportedModelError:
        """The error that names the step; `raise step.refuse(...)`."""
        return UnsupportedModelError(f"{self.where}: {reason}", hint=HINT)


@record
class Steps:
    """A model of features: `outputs` are those that it promises, name and type."""

    inputs: Tuple[Tuple[str, Kind], ...]
    steps: Tuple[Step, ...]
    outputs: Tuple[Tuple[str, Kind], ...]


def read(message: Any) -> Steps:
    """The steps of a parsed file. Raises `UnsupportedModelError` for one that is not known, by its place."""
    inputs = tuple((one.name, feature(one)) for one in message.description.input)
    widths = {name: kind.columns for name, kind in inputs}
    steps = []
    for model, where in _flat(message, ""):
        step = _step(model, where, widths)
        steps.append(step)
        widths.update({name: step.width for name, _ in step.outputs})
    outputs = tuple((one.name, feature(one)) for one in message.description.output)
    missing = [name for name, _ in outputs if name not in widths]
    if missing:
        raise UnsupportedModelError(f"no step gives the output {missing[0]!r}", hint=HINT)
    return Steps(inputs, tuple(steps), outputs)


def _flat(message: Any, where: str) -> Iterator[tuple[Any, str]]:
    kind = message.WhichOneof("Type") or "nothing"
    if kind not in PIPELINES:
        yield message, where + kind
        return
    inner = getattr(message, kind)
    models = inner.models if kind == "pipeline" else inner.pipeline.models
    for number, model in enumerate(models):
        yield from _flat(model, f"{where}{kind} > {number} ")


def feature(message: Any) -> Kind:
    """The type of one input or output."""
    kind = message.type.WhichOneof("Type")
    if kind == "multiArrayType":
        array = message.type.multiArrayType
        shape = [int(size) for size in array.shape]
        shape = shape[1:] if len(shape) == 2 and shape[0] == 1 else shape
        if len(shape) == 1 and array.dataType in _ARRAYS:
            return Kind(_ARRAYS[array.dataType], shape[0])
        raise UnsupportedModelError(f"{message.name!r} is an array of {shape}, not one row", hint=HINT)
    simple = {"int64Type": "int64", "doubleType": "float64", "stringType": "string"}
    if kind in simple:
        return Kind(simple[kind], None)
    if kind == "dictionaryType":
        return Kind("float64", 0)
    raise UnsupportedModelError(f"{message.name!r} is a {kind}, neither number, text nor array", hint=HINT)


def _step(message: Any, where: str, known: Mapping[str, int]) -> Step:
    kind = message.WhichOneof("Type") or "nothing"
    if kind not in KINDS:
        raise UnsupportedModelError(f"{where}: not converted", hint=HINT)
    parameters = getattr(message, kind)
    names = [one.name for one in message.description.input]
    if kind == "featureVectorizer":
        names = [one.inputColumn for one in parameters.inputList]
    absent = [name for name in names if name not in known]
    if absent:
        raise UnsupportedModelError(f"{where}: nothing gives its input {absent[0]!r}", hint=HINT)
    widths = tuple(known[name] for name in names)
    outputs = tuple((one.name, feature(one)) for one in _outputs(message, kind))
    step = Step(kind, parameters, where, tuple(names), widths, outputs)
    trees = tuple(coreml_trees.trees(step)) if kind.startswith("treeEnsemble") else ()
    return dataclasses.replace(step, width=_width(step), trees=trees)


def _outputs(message: Any, kind: str) -> list[Any]:
    """The outputs; of a classifier the label before the probabilities."""
    label = message.description.predictedFeatureName
    return sorted(message.description.output, key=lambda one: kind in CLASSIFIERS and one.name != label)


def _width(step: Step) -> int:
    given = step.parameters
    total = sum(step.widths)
    if step.kind in CLASSIFIERS:
        return len(labels(step))
    if step.kind in REGRESSORS:
        return 1
    if step.kind == "oneHotEncoder":
        return len(categories(step))
    if step.kind == "arrayFeatureExtractor":
        if any(index >= total for index in given.extractIndex):
            raise step.refuse(f"it takes a column beyond the {total} that there are")
        return len(given.extractIndex)
    if step.kind == "featureVectorizer":
        stated = [int(one.inputDimensions) for one in given.inputList]
        if tuple(stated) != step.widths:
            raise step.refuse(f"its inputs have {list(step.widths)} columns, and it says {stated}")
    return total


def labels(step: Step) -> tuple[Any, ...]:
    """The class labels, text or whole numbers."""
    kind = step.parameters.WhichOneof("ClassLabels")
    if kind is None:
        raise step.refuse("it has no class labels")
    return tuple(getattr(step.parameters, kind).vector)


def categories(step: Step) -> tuple[Any, ...]:
    """The categories of a one-hot encoder."""
    kind = step.parameters.WhichOneof("CategoryType")
    if kind is None:
        raise step.refuse("it has no categories")
    return tuple(getattr(step.parameters, kind).vector)


def replaced(step: Step) -> tuple[Any, list[Any]]:
    """What an imputer replaces, and by what in each column."""
    given = step.parameters
    what, by = given.WhichOneof("ReplaceValue"), given.WhichOneof("ImputedValue")
    if what not in ("replaceDoubleValue", "replaceInt64Value"):
        raise step.refuse("it does not say which number it replaces")
    if by in ("imputedDoubleArray", "imputedInt64Array"):
        values = list(getattr(given, by).vector)
    elif by in ("imputedDoubleValue", "imputedInt64Value"):
        values = [getattr(given, by)]
    else:
        raise step.refuse("it imputes texts or dictionaries")
    if len(values) != sum(step.widths):
        raise step.refuse(f"it has {len(values)} values for {sum(step.widths)} columns")
    return getattr(given, what), values


def scaled(step: Step) -> tuple[list[float], list[float]]:
    """Shifts and factors of a scaler, one for each column or one for all."""
    width = sum(step.widths)
    shifts = list(step.parameters.shiftValue) or [0.0]
    factors = list(step.parameters.scaleValue) or [1.0]
    if len(shifts) not in (1, width) or len(factors) not in (1, width):
        raise step.refuse(f"it has {len(shifts)} shifts and {len(factors)} factors for {width} columns")
    if any(kind.dtype == "int64" for _, kind in step.outputs):
        raise step.refuse("it rounds to whole numbers")
    return shifts, factors


def linear(step: Step) -> tuple[list[list[float]], list[float]]:
    """Rows of weights with an offset each."""
    rows = [list(row.value) for row in step.parameters.weights]
    offsets = list(step.parameters.offset) or [0.0] * len(rows)
    width = sum(step.widths)
    if len(offsets) != len(rows) or not rows or any(len(row) != width for row in rows):
        raise step.refuse(f"its {len(rows)} rows of weights do not fit {width} columns")
    if step.kind == "glmRegressor" and len(rows) != 1:
        raise step.refuse("it has several answers")
    return rows, offsets


def link(step: Step) -> str:
    """The name of the transform behind a linear model or trees, as the specification has it."""
    given = step.parameters
    number = given.postEvaluationTransform
    if step.kind.startswith("glm"):
        names = given.DESCRIPTOR.enum_types_by_name["PostEvaluationTransform"].values_by_number
        return str(names[number].name)
    kinds = ("NoTransform", "Classification_SoftMax", "Regression_Logistic")
    return (*kinds, "Classification_SoftMaxWithZeroClassReference")[number]


def is_single(step: Step) -> bool:
    """Whether a classifier of two classes has one score: that of the second class.

    Raises `UnsupportedModelError` where scores and classes do not fit, or the specification does not say how.
    """
    classes, name = len(labels(step)), link(step)
    if step.kind == "treeEnsembleClassifier":
        scores = coreml_trees.dimensions(step)
        single = scores == 1 and classes == 2
        if name == ("Classification_SoftMax" if single else "Regression_Logistic"):
            raise step.refuse(f"{name} of {scores} numbers")
        fits = scores == classes - name.endswith("ClassReference")
    else:
        scores = len(linear(step)[0])
        fits = scores == classes - (step.parameters.classEncoding == step.parameters.ReferenceClass)
        fits = fits and name == "Logit"
    if not fits and not (scores == 1 and classes == 2):
        raise step.refuse(f"{scores} scores for {classes} classes with {name}")
    return scores == 1 and classes == 2


def has_reference(step: Step) -> bool:
    """Whether the first class has the score 0, which is not written down."""
    if step.kind == "glmClassifier":
        return bool(step.parameters.classEncoding == step.parameters.ReferenceClass)
    return link(step).endswith("ClassReference")


def is_open(step: Step) -> bool:
    """Whether a classifier of several classes has a logistic function for each of them: the specification
    does not say whether these probabilities are made to sum to one. They are here, as in scikit-learn."""
    return step.kind == "glmClassifier" and not is_single(step) and not has_reference(step)


def support_vectors(step: Step) -> tuple[Any, list[float], float]:
    """Vectors [count, width], a weight for each, and what is taken off the sum."""
    import numpy as np

    given = step.parameters
    if given.WhichOneof("supportVectors") == "sparseSupportVectors":
        vectors = np.zeros((len(given.sparseSupportVectors.vectors), sum(step.widths)))
        for row, vector in enumerate(given.sparseSupportVectors.vectors):
            for node in vector.nodes:
                vectors[row, node.index - 1] = node.value  # counted from 1, as LIBSVM does
    else:
        vectors = np.array([list(one.values) for one in given.denseSupportVectors.vectors], dtype=np.float64)
    weights = list(given.coefficients.alpha)
    if vectors.shape != (len(weights), sum(step.widths)) or given.kernel.WhichOneof("kernel") is None:
        raise step.refuse(f"vectors of {list(vectors.shape)} for {len(weights)} weights")
    return vectors, weights, float(given.rho)
