"""MATLAB: ONNX files of the Deep Learning Toolbox, proven by what MATLAB itself answered.

There is no MATLAB here to ask. The reference is a ``.mat`` file beside the export, with inputs and what
``predict`` gave for them; rows that it does not hold are answered by the exported file as MATLAB wrote
it, run without optimisation. See docs/frameworks/matlab.md.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar, Mapping, Optional, Tuple

from converters import matlab_files, matlab_repairs
from converters.feed_options import with_options
from zoo.errors import MissingInputError, UnsupportedFileError, UsageError
from zoo.records import Signature, SourceDescription, record

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import onnx

    from converters.matlab_files import Recorded
    from converters.onnx_model import OnnxSource
    from zoo.records import Artifact, ConversionRequest
    from zoo.tensors import Tensors

_NONE: Tuple[str, ...] = ()
NEAR = 16 * 2.0**-23
"""A row this near to a recorded one (relative to its largest element) is that row, moved by a rounding."""

COMMANDS = """In MATLAB, with the network `net` (images: height, width, channels, batch):
  X = rand([net.Layers(1).InputSize 8], "single");
  Y = predict(net, X);
  exportONNXNetwork(net, "{stem}.onnx", "OpsetVersion", 14);
  save("{stem}.mat", "X", "Y", "-v7");
Put {stem}.mat beside {name}. Without MATLAB: `--option reference=file` takes the file itself as reference."""


@record
class MatlabModel:
    """An exported file as it is (`graph` runs in ONNX Runtime), and the rows that MATLAB answered.

    `batch` is the size that the file fixes for its first axis, None where that is dynamic.
    """

    source: Any
    graph: Any
    recorded: Optional[Any]
    batch: Optional[int]
    notes: tuple[str, ...] = ()


class MatlabConverter:
    """ONNX exports of MATLAB, repaired where they are old."""

    framework: ClassVar[str] = "matlab"
    title: ClassVar[str] = "MATLAB"
    requirements: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "scipy", "h5py")
    extra: ClassVar[str] = "matlab"
    revision: ClassVar[int] = 1

    def load(self, artifact: Artifact, request: ConversionRequest) -> MatlabModel:
        """The export with ``<stem>.mat`` beside it, or what option ``reference`` names (``file``: none).

        Raises `MissingInputError` with MATLAB's commands where there is no ``.mat`` file.
        """
        from converters.onnx_model import OnnxSource, read

        if request.kind == "mat":
            raise UnsupportedFileError(
                f"{artifact.path.name} is MATLAB data, not a model",
                hint="Give the .onnx file that MATLAB exported, with this file beside it as its reference.",
            )
        source = read(artifact.path)
        graph, notes = source, _NONE
        if source.opset < matlab_repairs.OLDEST:
            repaired, notes = matlab_repairs.at_opset(source.model, matlab_repairs.OLDEST)
            graph = OnnxSource(repaired)
        found = _reference(artifact.path, source, request)
        return MatlabModel(source, graph, found, _fixed_batch(source, request), notes)

    def describe(self, model: MatlabModel, request: ConversionRequest) -> SourceDescription:
        """The file's inputs and outputs; what MATLAB answered is fed through `sample`."""
        from converters.onnx_domains import known_inputs

        known = known_inputs(model.graph, request)
        inputs, outputs = known.specs, model.graph.outputs
        if model.batch is not None:
            inputs = tuple(replace(spec, shape=("batch", *spec.shape[1:])) for spec in inputs)
            outputs = tuple(replace(spec, shape=("batch", *spec.shape[1:])) for spec in outputs)
        description = SourceDescription(
            Signature(inputs, outputs), known.domains, versions=_versions(model), notes=_notes(model)
        )
        return with_options(description, request.options)

    def convert(self, model: MatlabModel, request: ConversionRequest) -> onnx.ModelProto:
        """The graph at opset 17, at the requested one, or at the nearest that can be reached."""
        from converters.onnx_checks import check

        converted, _ = matlab_repairs.at_opset(model.source.model, request.opset)
        if model.batch is not None:
            matlab_repairs.free_batch(converted)
        check(converted)
        return converted

    def predict(self, model: MatlabModel, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """MATLAB's answer for recorded rows; beside one, that answer moved as far as the file's own moves.

        Any other row is answered by the file as MATLAB exported it, without optimisation.
        """
        answers = _run(model, feeds)
        if model.recorded is None:
            return answers
        if model.recorded.is_sequence:
            return _batch_answers(model, feeds, answers)
        return _row_answers(model, feeds, answers)

    def sample(self, model: MatlabModel, request: ConversionRequest) -> Optional[Tensors]:
        """The rows that MATLAB was asked; None without a ``.mat`` file."""
        return None if model.recorded is None else dict(model.recorded.inputs)


def _reference(path: Path, source: OnnxSource, request: ConversionRequest) -> Optional[Recorded]:
    asked = request.options.get("reference")
    if asked == "file":
        return None
    mat = path.with_suffix(".mat") if asked is None else path.parent / str(asked)
    if not mat.is_file():
        raise MissingInputError(
            f"{path.name} is MATLAB's, and there is no {mat.name} beside it with what MATLAB answers",
            hint=COMMANDS.format(stem=path.stem, name=path.name),
        )
    return matlab_files.recorded(mat, source.inputs, source.outputs)


def _fixed_batch(source: OnnxSource, request: ConversionRequest) -> Optional[int]:
    """The size of the first axis where option ``batch=dynamic`` asks to free it."""
    asked = request.options.get("batch", "file")
    if asked not in ("file", "dynamic"):
        raise UsageError(f"option batch is {asked!r}", hint="It is file (as it is) or dynamic.")
    sizes = {spec.shape[0] for spec in source.inputs if matlab_repairs.is_fixed(spec.shape)}
    if asked == "file" or len(sizes) != 1:
        return None
    size = next(iter(sizes))
    return size if isinstance(size, int) else None


def _versions(model: MatlabModel) -> dict[str, str]:
    proto = model.source.model
    stated = f"{proto.producer_version} (opset {model.source.opset})".strip()
    answered = {} if model.recorded is None else {"MATLAB's answers": f"sha256:{model.recorded.digest[:16]}"}
    return {**answered, "MATLAB's exporter": stated, "onnxruntime": version("onnxruntime")}


def _notes(model: MatlabModel) -> tuple[str, ...]:
    order = "MATLAB's height × width × channels × batch is batch × channels × height × width in ONNX"
    if model.recorded is None:
        return (*model.notes, order, "no answers of MATLAB's: the exported file itself is the reference")
    rows = len(next(iter(model.recorded.inputs.values())))
    own = f"{rows} rows of {model.recorded.name} are compared with what MATLAB answered (cases `sample`); "
    return (*model.notes, order, own + "other rows with the exported file run without optimisation")


# --- answers --------------------------------------------------------------------------------------


def _run(model: MatlabModel, feeds: Mapping[str, np.ndarray]) -> Tensors:
    """The file's own answer; batch after batch where it fixes the size that `feeds` do not have."""
    import numpy as np

    size, rows = model.batch, len(next(iter(feeds.values())))
    if size is None or rows == size:
        return dict(model.graph.run(feeds))
    if rows % size:
        raise UsageError(f"the file answers {size} rows at once, not {rows}")
    parts = [
        model.graph.run({name: array[start : start + size] for name, array in feeds.items()})
        for start in range(0, rows, size)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _row_answers(model: MatlabModel, feeds: Mapping[str, np.ndarray], answers: Tensors) -> Tensors:
    import numpy as np

    assert model.recorded is not None
    known = model.recorded
    places = [_nearest(known, feeds, row) for row in range(len(next(iter(feeds.values()))))]
    for row, place in enumerate(places):
        if place is None:
            continue
        beside = {name: known.inputs[name][place] for name in feeds}
        is_same = all(np.array_equal(beside[name], feeds[name][row]) for name in feeds)
        own = {} if is_same else _run_row(model, beside)
        for name, array in answers.items():
            answer = known.outputs[name][place]
            array[row] = answer if is_same else answer + (array[row] - own[name])
    return answers


def _run_row(model: MatlabModel, row: Mapping[str, np.ndarray]) -> Tensors:
    """The file's answer to one row, which is repeated where the file fixes a larger batch."""
    import numpy as np

    fixed = [spec.shape[0] for spec in model.graph.inputs if matlab_repairs.is_fixed(spec.shape)]
    size = int(fixed[0]) if fixed else 1
    answers = model.graph.run({name: np.stack([array] * size) for name, array in row.items()})
    return {name: array[0] for name, array in answers.items()}


def _batch_answers(model: MatlabModel, feeds: Mapping[str, np.ndarray], answers: Tensors) -> Tensors:
    """As `_row_answers`, for sequences: the recorded batch is known as a whole."""
    import numpy as np

    assert model.recorded is not None
    known = model.recorded
    if not all(_is_near(known.inputs[name], array) for name, array in feeds.items()):
        return answers
    if all(np.array_equal(known.inputs[name], array) for name, array in feeds.items()):
        return dict(known.outputs)
    own = model.graph.run(known.inputs)
    return {name: known.outputs[name] + (array - own[name]) for name, array in answers.items()}


def _nearest(known: Recorded, feeds: Mapping[str, np.ndarray], row: int) -> Optional[int]:
    """The recorded row that this row of `feeds` is, up to a rounding."""
    count = len(next(iter(known.inputs.values())))
    for place in range(count):
        if all(_is_near(known.inputs[name][place], array[row]) for name, array in feeds.items()):
            return place
    return None


def _is_near(recorded: np.ndarray, row: np.ndarray) -> bool:
    import numpy as np

    if recorded.shape != row.shape:
        return False
    if recorded.dtype.kind != "f":
        return bool(np.array_equal(recorded, row))
    reach = NEAR * max(float(np.abs(recorded).max(initial=0.0)), 1e-3)
    return bool(np.abs(recorded.astype(np.float64) - row).max(initial=0.0) <= reach)
