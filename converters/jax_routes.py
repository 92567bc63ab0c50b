"""From a JAX function to ONNX, by jax2onnx: first with its own forms of layers, then of primitives only.

jax2onnx replaces known functions (``flax.linen.Conv``, ``jax.nn.gelu``) by operators while it traces. Its
replacements take fewer forms of arguments than the functions: pooling with a positional window is put
right here. Where they fail altogether (``flax.linen.RNN``), the function is traced as JAX has it,
computations that nothing reads are dropped, and each primitive is converted on its own.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Callable, Iterator
from unittest import mock

from converters.jax_programs import FIXED_HINT
from converters.jax_runtime import jax, library, quiet
from zoo.errors import UnsupportedModelError

if TYPE_CHECKING:
    import onnx

    from zoo.records import Signature

DEFAULT_OPSET = 21
OPSETS = (21, 23)
_POOLS = ("avg_pool", "max_pool", "min_pool")


def convert(function: Callable[..., Any], signature: Signature, opset: int | None) -> onnx.ModelProto:
    """The function as ONNX. Raises `UnsupportedModelError` with what each route says."""
    failures = []
    for title, route in (("layers", _by_layers), ("primitives", _by_primitives)):
        try:
            with quiet():
                return route(function, signature, _opset(opset))
        except UnsupportedModelError:
            raise
        except Exception as error:  # noqa: BLE001 - the other route may do; both reasons are told
            failures.append(f"by {title}: {type(error).__name__}: {' '.join(str(error).split())[:250]}")
    symbolic = any("Symbolic dimension" in text for text in failures)
    raise UnsupportedModelError(
        f"jax2onnx cannot convert the function ({'; '.join(failures)})", hint=FIXED_HINT if symbolic else None
    )


def _opset(asked: int | None) -> int:
    if asked is not None and not OPSETS[0] <= asked <= OPSETS[1]:
        raise UnsupportedModelError(
            f"jax2onnx writes opset {OPSETS[0]} to {OPSETS[1]}, not {asked}", hint="Leave --opset out."
        )
    return asked or DEFAULT_OPSET


def _by_layers(function: Callable[..., Any], signature: Signature, opset: int) -> onnx.ModelProto:
    def traced(*inputs: Any) -> Any:
        with _keyword_pools():
            return _leaves(function(*inputs))

    return _written(traced, signature, opset)


def _by_primitives(function: Callable[..., Any], signature: Signature, opset: int) -> onnx.ModelProto:
    interface = import_module("jax2onnx.converter.conversion_api")

    @contextmanager
    def unpatched() -> Iterator[None]:
        interface.import_all_plugins()
        yield

    with mock.patch.object(interface, "_activate_plugin_worlds", unpatched):
        return _written(_needed(function), signature, opset)


def _written(function: Callable[..., Any], signature: Signature, opset: int) -> onnx.ModelProto:
    to_onnx: Callable[..., onnx.ModelProto] = import_module("jax2onnx").to_onnx
    return to_onnx(
        function,
        inputs=_structs(signature),
        opset=opset,
        model_name="model",
        input_names=[spec.name for spec in signature.inputs],
        output_names=[spec.name for spec in signature.outputs],
    )


def _structs(signature: Signature) -> list[Any]:
    """Shapes whose equal names are the same symbol, which jax2onnx's own notation does not promise."""
    module, export = jax(), library("jax.export")
    scope = export.SymbolicScope()
    structs = []
    for spec in signature.inputs:
        text = ",".join(map(str, spec.shape))
        shape = export.symbolic_shape(text, scope=scope) if text else ()
        structs.append(module.ShapeDtypeStruct(shape, spec.dtype))
    return structs


def _leaves(answer: Any) -> Any:
    """A flat tuple, in the order of the names; a single array as it is."""
    leaves = jax().tree_util.tree_leaves(answer)
    return leaves[0] if len(leaves) == 1 else tuple(leaves)


def _needed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function without what its answer does not read, such as keys for random numbers never drawn."""
    module = jax()
    evaluation = import_module("jax.interpreters.partial_eval")
    core = import_module("jax.core")

    def pruned(*inputs: Any) -> Any:
        closed = module.make_jaxpr(lambda *xs: _leaves(function(*xs)))(*inputs)
        used = [True] * len(closed.jaxpr.outvars)
        jaxpr, _ = evaluation.dce_jaxpr(closed.jaxpr, used, instantiate=True)
        return _leaves(core.eval_jaxpr(jaxpr, closed.consts, *inputs))

    return pruned


@contextmanager
def _keyword_pools() -> Iterator[None]:
    """While jax2onnx's replacements of Flax's pooling are in place, let them take positional arguments."""
    with ExitStack() as stack:
        for package in ("flax.linen", "flax.nnx"):
            try:
                module = import_module(package)
            except ModuleNotFoundError:
                continue
            for name in _POOLS:
                if hasattr(module, name):
                    stack.enter_context(mock.patch.object(module, name, _keyworded(getattr(module, name))))
        yield


def _keyworded(pool: Callable[..., Any]) -> Callable[..., Any]:
    def called(
        inputs: Any, window_shape: Any, strides: Any = None, padding: Any = "VALID", **more: Any
    ) -> Any:
        return pool(inputs, window_shape=window_shape, strides=strides, padding=padding, **more)

    return called
