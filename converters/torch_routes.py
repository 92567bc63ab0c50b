"""The ways from torch to ONNX, tried in order until one keeps what was promised.

=============  ==================================================================================
``dynamo``     torch.export, then the exporter of torch ≥ 2.5; the default
``trace``      torch.jit.trace and the TorchScript exporter: keeps the length of an LSTM dynamic
``script``     torch.jit.script and the TorchScript exporter: keeps branches that depend on the data
``ts2ep``      TorchScript to an exported program, then as ``dynamo``: keeps writes through views
=============  ==================================================================================
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional

from converters import onnx_precise, onnx_tidy, torch_probe
from converters.torch_model import TorchModel, evaluating, named_outputs
from converters.torch_quiet import quiet, without_native_output
from zoo.errors import ConversionError, UnsupportedModelError, UsageError
from zoo.records import record

if TYPE_CHECKING:
    import onnx

    from converters.torch_probe import Finding
    from converters.torch_study import Study

DYNAMO_OPSET = 18
"""What the exporter's operators are written in; lower opsets are reached by another route."""
SCRIPT_OPSETS = (17, 18, 20)
"""Tried in this order where no opset is asked for: some operators need a later one."""


@record
class Plan:
    """What a route needs: the model, what is known of it, and the opset asked for."""

    model: TorchModel
    study: Study
    opset: Optional[int] = None

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return self.model.arguments(self.model.tensors(self.study.example()))

    @property
    def input_names(self) -> list[str]:
        return [spec.name for spec in self.study.inputs]


@record
class Exported:
    """A graph, the route that made it, and what is wrong with it, if anything."""

    graph: Any
    route: str
    finding: Optional[Finding] = None


def export(plan: Plan, only: Optional[str] = None) -> Exported:
    """The graph of the first route that keeps every promise; else of the least bad one.

    A frozen axis is never returned: `UnsupportedModelError` says how each route failed. `only` names
    a single route to take.
    """
    failures: list[str] = []
    usable: list[Exported] = []
    for name in _routes(plan, only):
        exported = _attempt(plan, name, failures)
        if exported is None:
            continue
        if exported.finding is None:
            return exported
        failures.append(f"{name}: {exported.finding.reason}")
        if exported.finding.rank < torch_probe.UNUSABLE:
            usable.append(exported)
    if usable:
        return min(usable, key=lambda exported: exported.finding.rank)  # type: ignore[union-attr]
    raise UnsupportedModelError(
        "no route to ONNX keeps what this model promises:\n  " + "\n  ".join(failures),
        hint="Give sizes for the axes that may be fixed (--input), or another --opset.",
    )


def _routes(plan: Plan, only: Optional[str]) -> tuple[str, ...]:
    if only is not None:
        if only not in _ROUTES:
            raise UsageError(f"no route {only!r}", hint=f"Routes: {', '.join(_ROUTES)}")
        return (only,)
    if plan.model.program is not None:
        return ("dynamo",)
    if plan.model.is_scripted:
        return ("script", "ts2ep")
    # torch.export takes three times as long over a recurrent layer and labels its length as fixed.
    early = _is_recurrent(plan.model.module) or (plan.opset is not None and plan.opset < DYNAMO_OPSET)
    return ("trace", "dynamo", "script", "ts2ep") if early else ("dynamo", "trace", "script", "ts2ep")


def _is_recurrent(module: Any) -> bool:
    import torch

    return any(isinstance(child, torch.nn.RNNBase) for child in module.modules())


def _attempt(plan: Plan, name: str, failures: list[str]) -> Optional[Exported]:
    try:
        with quiet(), evaluating(plan.model.module):
            graph = _ROUTES[name](plan)
        return Exported(graph, name, _finished(graph, plan))
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - exporters raise anything; the next route is tried
        failures.append(f"{name}: {_reason(error)}")
        return None


def _finished(graph: onnx.ModelProto, plan: Plan) -> Optional[Finding]:
    """Tidy the graph in place, and say what is wrong with it."""
    reached = next(entry.version for entry in graph.opset_import if entry.domain in ("", "ai.onnx"))
    if plan.opset is not None and reached != plan.opset:
        raise ConversionError(f"it reaches opset {reached}, not {plan.opset}")
    onnx_tidy.strip_provenance(graph)
    onnx_tidy.name_inputs(graph, plan.study.inputs)
    onnx_tidy.name_outputs(graph, plan.study.outputs)
    onnx_precise.keep_small_exponentials(graph)
    frozen = torch_probe.frozen_inputs(graph, plan.study)
    if frozen is not None:
        return frozen
    relabelled = torch_probe.relabelled_outputs(graph, plan.study)
    return torch_probe.probe(graph, plan.model, plan.study) or relabelled


# --- the routes -----------------------------------------------------------------------------------


def _dynamo(plan: Plan) -> onnx.ModelProto:
    import torch

    from converters.torch_decompositions import TRANSLATIONS, rewritten

    if plan.model.program is not None:
        program = plan.model.program
    else:
        args, kwargs = plan.arguments()
        program = torch.export.export(
            plan.model.module, args, kwargs, dynamic_shapes=_dynamic_shapes(plan), strict=False
        )
    exported = torch.onnx.export(
        rewritten(program),
        (),
        dynamo=True,
        external_data=False,
        optimize=True,
        opset_version=plan.opset or DYNAMO_OPSET,
        custom_translation_table=TRANSLATIONS(),
        verbose=False,
    )
    return exported.model_proto


def _dynamic_shapes(plan: Plan) -> Any:
    """For every argument the axes that are promised, in the form that torch.export takes them.

    ``AUTO`` leaves relations to torch (a height that must be even, two lengths that must agree) and
    fixes an axis in silence where it must: what came out is looked at afterwards.
    """
    from torch.export import Dim

    shapes = {
        spec.name: {axis: Dim.AUTO for axis, dim in enumerate(spec.shape) if isinstance(dim, str)}
        for spec in plan.study.inputs
    }
    args, kwargs = plan.model.arguments(dict.fromkeys(shapes))
    ordered = list(shapes.values())
    if not kwargs:
        return tuple(ordered)
    positional = dict(zip(plan.model.parameters, ordered[: len(args)]))
    return {**positional, **{name: shapes[name] for name in kwargs}}


def _trace(plan: Plan) -> onnx.ModelProto:
    return _script_export(plan, *_undecided_trace(plan))


def _undecided_trace(plan: Plan) -> tuple[Any, tuple[Any, ...]]:
    """A trace follows one path: where it had to decide something, it may be wrong for other inputs."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        traced, args = _traced(plan, plan.model.module)
    _refuse_decisions(caught)
    return traced, args


def _script(plan: Plan) -> onnx.ModelProto:
    """Scripted code keeps its branches and loops, also where a trace calls it."""
    import torch

    module = plan.model.module
    scripted = module if plan.model.is_scripted else torch.jit.script(module)
    return _script_export(plan, *_traced(plan, scripted))


def _traced(plan: Plan, inner: Any) -> tuple[Any, tuple[Any, ...]]:
    """A trace of `inner` with tensors in order as arguments and a flat tuple as result, and the arguments."""
    import torch

    model, names = plan.model, plan.input_names

    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *tensors: Any) -> Any:
            args, kwargs = model.arguments(dict(zip(names, tensors)))
            outputs = tuple(named_outputs(self.inner(*args, **kwargs)).values())
            return outputs if len(outputs) > 1 else outputs[0]

    args = tuple(model.tensors(plan.study.example()).values())
    return torch.jit.trace(Flat().eval(), args, check_trace=False, strict=False), args


def _refuse_decisions(caught: list[warnings.WarningMessage]) -> None:
    """torch's own modules decide over checks of shape only; anything else may be the data."""
    import torch

    own = str(Path(torch.__file__).parent)
    for warning in caught:
        if issubclass(warning.category, torch.jit.TracerWarning) and not warning.filename.startswith(own):
            raise UnsupportedModelError(
                f"a trace would fix a decision (line {warning.lineno} of {Path(warning.filename).name}): "
                f"{str(warning.message).split('.')[0]}"
            )


def _script_export(plan: Plan, module: Any, args: tuple[Any, ...]) -> onnx.ModelProto:
    """The TorchScript exporter, at the opset asked for or the first that has all operators."""
    opsets = SCRIPT_OPSETS if plan.opset is None else (plan.opset,)
    for opset in opsets[:-1]:
        try:
            return _script_export_at(plan, module, args, opset)
        except Exception as error:
            if "opset" not in str(error):
                raise
    return _script_export_at(plan, module, args, opsets[-1])


def _script_export_at(plan: Plan, module: Any, args: tuple[Any, ...], opset: int) -> onnx.ModelProto:
    import onnx
    import torch

    from converters.torch_decompositions import script_symbolics

    axes: Mapping[str, Any] = {
        spec.name: {axis: dim for axis, dim in enumerate(spec.shape) if isinstance(dim, str)}
        for spec in (*plan.study.inputs, *plan.study.outputs)
    }
    file = io.BytesIO()
    with script_symbolics(opset), without_native_output():
        torch.onnx.export(
            module,
            args,
            file,
            dynamo=False,
            input_names=plan.input_names,
            output_names=[spec.name for spec in plan.study.outputs],
            dynamic_axes=axes,
            opset_version=opset,
        )
    return onnx.load_model_from_string(file.getvalue())


def _ts2ep(plan: Plan) -> onnx.ModelProto:
    import torch
    from torch._export.converter import TS2EPConverter

    module = plan.model.module
    args = tuple(plan.model.tensors(plan.study.example()).values())
    if not isinstance(module, torch.jit.ScriptModule):
        module, args = _undecided_trace(plan)
    program = TS2EPConverter(module, args, {}).convert()
    flat = TorchModel(program.module(), program)
    return _dynamo(Plan(flat, plan.study, plan.opset))


_ROUTES: dict[str, Callable[[Plan], Any]] = {
    "dynamo": _dynamo,
    "trace": _trace,
    "script": _script,
    "ts2ep": _ts2ep,
}


def _reason(error: BaseException) -> str:
    """The telling line of an exporter's error, whose text may be pages long."""
    cause = error.__cause__ or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {(lines or [''])[0][:300]}"
