"""A JAX model as one function of its inputs, whatever it was: a function, a Flax module, an NNX module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping

from converters.feed_options import input_specs
from converters.jax_runtime import jax, library, quiet
from converters.trials import BATCH
from zoo.errors import MissingInputError, UnsupportedModelError, UsageError
from zoo.records import TensorSpec, record
from zoo.tensors import read_sample

if TYPE_CHECKING:
    import numpy as np

    from zoo.records import ConversionRequest
    from zoo.tensors import Tensors

FIXED_HINT = "Fix the axis that the function compares or divides by: --input 'x:float32[1,224,224,3]'."


@record
class Program:
    """A function of arrays; `compiled` is the same under ``jax.jit``."""

    function: Callable[..., Any]
    compiled: Callable[..., Any]


def program(model: Any) -> Program:
    """The function of a live model. Raises `UnsupportedModelError` for an unbound Flax module."""
    function = _function(model)
    return Program(function, jax().jit(function))


def built(made: Any, tree: Any) -> Program:
    """The function of what the user's builder gave, with the parameters of the file.

    A Flax linen module gets them as variables, an NNX module as its state; a function as its first argument.
    """
    if _is_a(made, "flax.linen", "Module"):
        variables = tree if isinstance(tree, dict) and "params" in tree else {"params": tree}
        return program(lambda *inputs: made.apply(variables, *inputs))
    if _is_a(made, "flax.nnx", "Module"):
        return program(_restored(made, tree))
    if not callable(made):
        raise UsageError(
            f"the builder gave a {type(made).__name__}",
            hint="It must give a Flax module, or a function of (parameters, *inputs).",
        )
    return program(lambda *inputs: made(tree, *inputs))


def _function(model: Any) -> Callable[..., Any]:
    if _is_a(model, "flax.linen", "Module"):
        if model.scope is None:
            raise UnsupportedModelError(
                f"{type(model).__name__} is a Flax module without its variables",
                hint="Give `model.bind(variables)`, or `lambda x: model.apply(variables, x)`.",
            )
        unbound, variables = model.unbind()
        return lambda *inputs: unbound.apply(variables, *inputs)
    if _is_a(model, "flax.nnx", "Module"):
        nnx = library("flax.nnx")
        model.eval()
        definition, state = nnx.split(model)
        return lambda *inputs: nnx.merge(definition, state)(*inputs)
    if not callable(model):
        raise UnsupportedModelError(f"a {type(model).__name__} is no function of arrays")
    return model  # type: ignore[no-any-return]


def _restored(module: Any, tree: Any) -> Any:
    nnx = library("flax.nnx")
    _, state = nnx.split(module)
    try:
        nnx.replace_by_pure_dict(state, nnx.restore_int_paths(tree))
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"the file's parameters do not fit {type(module).__name__}: {' '.join(str(error).split())[:200]}"
        ) from error
    nnx.update(module, state)
    return module


def _is_a(model: Any, package: str, name: str) -> bool:
    """Whether a class of `package` is among the model's, without importing it."""
    return any(cls.__name__ == name and cls.__module__.startswith(package) for cls in type(model).__mro__)


# --- signatures -----------------------------------------------------------------------------------


def inputs_of(request: ConversionRequest) -> tuple[TensorSpec, ...]:
    """The inputs in the function's order, from the request or the sample.

    Raises `MissingInputError` where nobody says what they are.
    """
    if request.inputs:
        return input_specs(request.inputs, request.options)
    if request.sample is None:
        raise MissingInputError(
            "a JAX function does not say the shapes of its inputs",
            hint="--input 'x:float32[batch,28,28,1]' (a named axis is dynamic), for each in their order; "
            "or --sample file.npz",
        )
    sample = read_sample(request.sample)
    specs = tuple(_spec(name or "x", array) for name, array in sample.items())
    return input_specs(specs, request.options)


def _spec(name: str, array: np.ndarray) -> TensorSpec:
    dtype = {"float64": "float32", "int64": "int32"}.get(str(array.dtype), str(array.dtype))
    return TensorSpec(name, dtype, (BATCH, *array.shape[1:]) if array.ndim else ())


def outputs_of(source: Program, inputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """Names, dtypes and shapes of what the function gives, with the inputs' dynamic axes in them.

    Raises `UnsupportedModelError` where JAX cannot trace the function with a dynamic axis.
    """
    module = jax()
    scope = library("jax.export").SymbolicScope()
    shapes = [_symbolic(spec, scope) for spec in inputs]
    structs = [module.ShapeDtypeStruct(shape, spec.dtype) for shape, spec in zip(shapes, inputs)]
    try:
        with quiet():
            answer = module.eval_shape(source.function, *structs)
    except Exception as error:
        raise untraceable(error) from error
    return tuple(
        TensorSpec(name, str(one.dtype), tuple(_dim(name, axis, dim) for axis, dim in enumerate(one.shape)))
        for name, one in named(answer).items()
    )


def _symbolic(spec: TensorSpec, scope: Any) -> Any:
    export = library("jax.export")
    text = ",".join(str(dim) for dim in spec.shape)
    return export.symbolic_shape(text, scope=scope) if text else ()


def _dim(name: str, axis: int, dim: Any) -> Any:
    if isinstance(dim, int):
        return dim
    text = str(dim)
    return text if text.isidentifier() else f"{name}_dim{axis}"


def named(answer: Any) -> dict[str, Any]:
    """The arrays of an answer by name: keys of dicts, places in tuples, ``output`` for a single one."""
    leaves = jax().tree_util.tree_flatten_with_path(answer)[0]
    if len(leaves) == 1 and not leaves[0][0]:
        return {"output": leaves[0][1]}
    return {"_".join(_key(part) for part in path) or "output": leaf for path, leaf in leaves}


def _key(part: Any) -> str:
    for attribute in ("key", "name"):
        if hasattr(part, attribute):
            return str(getattr(part, attribute))
    return f"output_{part.idx}" if hasattr(part, "idx") else str(part)


def answered(source: Program, inputs: tuple[TensorSpec, ...], feeds: Mapping[str, np.ndarray]) -> Tensors:
    """What the compiled function gives for `feeds`."""
    import numpy as np

    with quiet():
        answer = source.compiled(*(feeds[spec.name] for spec in inputs))
    return {name: np.asarray(array) for name, array in named(answer).items()}


def untraceable(error: Exception) -> UnsupportedModelError:
    """The error for a function that JAX itself cannot trace with a dynamic axis, or at all."""
    reason = " ".join(str(error).split())[:300]
    hint = FIXED_HINT if "Symbolic dimension" in reason or "Inconclusive" in type(error).__name__ else None
    return UnsupportedModelError(
        f"JAX cannot trace the function: {type(error).__name__}: {reason}", hint=hint
    )
