"""Whether an exported graph keeps its promises: dynamic axes, shapes, roughly the numbers.

The verifier judges the numbers; here they only choose between the routes of export.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from converters.onnx_tidy import dims, set_dims
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from converters.torch_model import TorchModel
    from converters.torch_study import Study
    from zoo.tensors import Tensors

RTOL, ATOL = 1e-2, 1e-3
UNUSABLE, WRONG, RELABELLED = 3, 2, 1


@record
class Finding:
    """What is wrong with a graph. `rank` says how bad: unusable, other numbers, or only a label."""

    rank: int
    reason: str


def frozen_inputs(model: onnx.ModelProto, study: Study) -> Optional[Finding]:
    """An input axis that was promised to be dynamic and came out with a size."""
    for value, spec in zip(model.graph.input, study.inputs):
        for axis, (dim, promised) in enumerate(zip(dims(value), spec.shape)):
            if isinstance(promised, str) and isinstance(dim, int):
                return Finding(
                    UNUSABLE, f"axis {axis} ({promised}) of input {spec.name!r} came out frozen at {dim}"
                )
        set_dims(value, spec.shape)
    return None


def relabelled_outputs(model: onnx.ModelProto, study: Study) -> Optional[Finding]:
    """Write the true output shapes; a dynamic axis that had a size is reported."""
    finding = None
    for value, spec in zip(model.graph.output, study.outputs):
        stated = dims(value)
        if len(stated) != len(spec.shape):
            finding = Finding(RELABELLED, f"output {spec.name!r} was labelled {stated}")
            stated = (None,) * len(spec.shape)
        for axis, (dim, true) in enumerate(zip(stated, spec.shape)):
            if isinstance(true, str) and isinstance(dim, int):
                finding = Finding(
                    RELABELLED, f"axis {axis} ({true}) of output {spec.name!r} was labelled {dim}"
                )
        set_dims(value, tuple(_true_dim(*pair) for pair in zip(stated, spec.shape)))
    return finding


def _true_dim(stated: Any, true: Any) -> Any:
    """A size seen twice may be chance: where the graph says that it varies, it is left open."""
    return None if isinstance(true, int) and isinstance(stated, str) else true


def probe(graph: onnx.ModelProto, model: TorchModel, study: Study) -> Optional[Finding]:
    """Run the graph and the model at every size that was tried, and at large values."""
    try:
        import onnxruntime
    except ImportError:
        return None
    if graph.ByteSize() >= 2**31 - 2**20:
        return None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # noqa: BLE001 - onnxruntime's errors share no base class
        return Finding(UNUSABLE, f"ONNX Runtime refuses it: {_line(error)}")
    findings = [_compare(session, model, study, turn, 1.0) for turn in range(len(study.sizes))]
    findings.append(_compare(session, model, study, 0, 30.0))
    return max((f for f in findings if f), key=lambda finding: finding.rank, default=None)


def _compare(session: Any, model: TorchModel, study: Study, turn: int, scale: float) -> Optional[Finding]:
    feeds = study.example(turn, scale)
    expected = model.predict(feeds)
    where = f"at {dict(study.sizes[turn])}" if study.sizes[turn] else "on an example"
    try:
        got = dict(zip(expected, session.run(None, runtime_feeds(session, feeds))))
    except Exception as error:  # noqa: BLE001 - onnxruntime's errors share no base class
        return Finding(UNUSABLE, f"ONNX Runtime fails {where}: {_line(error)}")
    for name, value in expected.items():
        finding = _difference(name, value, got[name], scale)
        if finding:
            return Finding(finding.rank, f"{finding.reason} {where}")
    return None


def runtime_feeds(session: Any, feeds: Tensors) -> Tensors:
    """What the session takes of `feeds`."""
    names = {value.name for value in session.get_inputs()}
    return {name: array for name, array in feeds.items() if name in names}


def _difference(name: str, expected: np.ndarray, got: np.ndarray, scale: float) -> Optional[Finding]:
    import numpy as np

    if expected.shape != got.shape:
        return Finding(UNUSABLE, f"output {name!r} is {got.shape} instead of {expected.shape}")
    if not expected.size:
        return None
    a, b = expected.astype(np.float64), got.astype(np.float64)
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return Finding(WRONG, f"output {name!r} is finite where it should not be, or the reverse,")
    a, b = a[np.isfinite(a)], b[np.isfinite(a)]
    bound = RTOL * np.abs(a) + ATOL * max(1.0, float(np.abs(a).max(initial=0.0)))
    worst = float(np.abs(a - b).max(initial=0.0))
    # At large values the networks themselves amplify rounding: there only infinities count.
    if scale == 1.0 and bool((np.abs(a - b) > bound).any()):
        return Finding(WRONG, f"output {name!r} is off by {worst:.3g}")
    return None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
