"""A small typed builder of ONNX graphs that knows what ONNX Runtime's CPU provider can run.

Every `Value` carries its dtype, constants are stored once, and an operator that has no kernel for
its dtype is refused while the graph is built, not when a user loads it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Iterator, Sequence, Union, cast

from converters.classical.kernels import demand_kernel, inferred
from converters.classical.tidying import domains_of, named_where_made, needed
from zoo.errors import UnsupportedModelError
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np
    import onnx

OPSET = 21
"""Strings compare from opset 19 on, StringSplit and RegexFullMatch exist from 20 on."""
ML_OPSET = 5
"""TreeEnsemble of ai.onnx.ml 5 is the only tree operator that sums in float64."""
IR_VERSION = 10
NEWEST_OPSET = 24
MICROSOFT = "com.microsoft"


@record
class Value:
    """A tensor of the graph: its name and numpy dtype name (``"string"`` for text)."""

    name: str
    dtype: str


Operand = Union[Value, "np.ndarray", float, int, bool, str]


class Graph:
    """An ONNX graph under construction, in the order the source computes.

    `path` names the step that is being written; nodes and refusals carry it.
    """

    def __init__(self) -> None:
        self.path: list[str] = []
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Value] = {}
        self._arrays: dict[str, np.ndarray] = {}
        self._used: set[str] = set()
        self._written: dict[tuple[Any, ...], tuple[Value, ...]] = {}
        self.products: dict[str, Callable[..., Value]] = {}
        """How a wide value of few entries is multiplied by a table without being written out, by its name."""
        self.vectors: dict[str, Value] = {}
        """The vector [N] that a value [N, 1] was made of, by the name of that value."""
        self.typical: dict[str, np.ndarray] = {}
        """A row like those that were fitted, by the name of the value [N, F] that has such rows."""
        self.rows: Value | None = None
        """Any value whose first axis is the batch; see `Graph.count`."""

    @contextmanager
    def scope(self, step: str) -> Iterator[None]:
        """Name the step that is written inside, as the source names it."""
        self.path.append(step)
        try:
            yield
        finally:
            self.path.pop()

    def refuse(self, reason: str, hint: str | None = None) -> UnsupportedModelError:
        """The error for what cannot be said exactly; `raise graph.refuse(...)`."""
        where = " > ".join(self.path) or "the model"
        way_out = "Convert the steps before it and run this one in Python, or replace it."
        return UnsupportedModelError(f"{where}: {reason}", hint=hint or way_out)

    # --- values -----------------------------------------------------------------------------------

    def input(self, name: str, dtype: str, shape: Sequence[Any]) -> Value:
        """A graph input; its first axis is the batch."""
        value = Value(self._fresh(name), dtype)
        self._inputs.append(_value_info(value, shape))
        if self.rows is None:
            self.rows = value
        return value

    def output(self, name: str, value: Value, shape: Sequence[Any]) -> Value:
        """Make `value` a graph output called `name`."""
        self._used.discard(name)
        node = self._node("Identity", [value.name], [name], "", {})
        self._nodes.append(node)
        result = Value(name, value.dtype)
        self._outputs.append(_value_info(result, shape))
        return result

    def constant(self, array: Any, dtype: str | None = None) -> Value:
        """An initialiser; equal arrays are stored once. Text arrays have dtype ``"string"``."""
        import numpy as np

        value = np.asarray(array)
        text = value.dtype.kind in "OUS" or dtype == "string"
        value = (
            value.astype(object) if text else np.ascontiguousarray(value, dtype=dtype).reshape(value.shape)
        )
        content = (
            "\0".join(map(str, value.ravel())).encode("utf-8", "surrogatepass") if text else value.tobytes()
        )
        key = ("string" if text else str(value.dtype), value.shape, content)
        if key not in self._constants:
            self._constants[key] = self._store(value, key[0])
        return self._constants[key]

    def array(self, value: Value) -> np.ndarray | None:
        """The array behind a constant; None for a value that depends on the inputs."""
        return self._arrays.get(value.name)

    def value(self, operand: Operand) -> Value:
        """A value as it is, anything else as a constant."""
        return operand if isinstance(operand, Value) else self.constant(operand)

    # --- operators --------------------------------------------------------------------------------

    def op(
        self, kind: str, *inputs: Operand, dtype: str | None = None, domain: str = "", **attributes: Any
    ) -> Value:
        """Add one node with one output and return it; `dtype` overrides the inferred one.

        The same operator on the same inputs is written once, so that ``predict`` and
        ``predict_proba`` may both ask for the scores. Raises TypeError (a defect of the caller)
        where ONNX Runtime has no kernel for the dtype.
        """
        if (
            kind in ("MatMul", "Gemm")
            and not attributes
            and getattr(inputs[0], "name", None) in self.products
        ):
            return self.products[cast(Value, inputs[0]).name](*inputs[1:])
        return self.ops(kind, *inputs, dtypes=(dtype,), domain=domain, **attributes)[0]

    def ops(
        self, kind: str, *inputs: Operand, dtypes: Sequence[str | None], domain: str = "", **attributes: Any
    ) -> tuple[Value, ...]:
        """Add one node with `len(dtypes)` outputs; None stands for the inferred dtype."""
        values = [self.value(operand) for operand in inputs]
        demand_kernel(kind, values, domain)
        key = (kind, domain, tuple(values), tuple(dtypes), _fingerprint(attributes))
        if key not in self._written:
            usual = inferred(kind, values)
            results = tuple(Value(self._fresh(kind.lower()), dtype or usual) for dtype in dtypes)
            names = [value.name for value in values]
            self._nodes.append(self._node(kind, names, [r.name for r in results], domain, attributes))
            self._written[key] = results
        return self._written[key]

    def once(self, key: tuple[Any, ...], write: Callable[[], tuple[Value, ...]]) -> tuple[Value, ...]:
        """What `write` gives, once for each `key`: for bodies of branches, whose names always differ."""
        if key not in self._written:
            self._written[key] = write()
        return self._written[key]

    def cast(self, value: Operand, dtype: str) -> Value:
        """`value` in another dtype, untouched where it has it already."""
        from onnx import helper

        value = self.value(value)
        if value.dtype == dtype:
            return value
        array = self.array(value)
        if array is not None and "string" not in (dtype, value.dtype):
            return self.constant(array.astype(dtype))
        return self.op("Cast", value, dtype=dtype, to=helper.np_dtype_to_tensor_dtype(_numpy_dtype(dtype)))

    def arithmetic(self, kind: str, left: Operand, right: Operand) -> Value:
        """A two-sided operator after numpy's promotion: python scalars take the other side's dtype."""
        a, b = self._promoted(left, right)
        if kind == "Div" and a.dtype.startswith("int"):
            a, b = self.cast(a, "float64"), self.cast(b, "float64")
        if kind == "Mul" and self._seems_one(a):
            a, b = b, a
        if kind in ("Mul", "Div") and self._seems_one(b):
            twice = self.op(kind, a, self.constant(2 * self._arrays[b.name]))
            return self.op(kind, twice, self.constant(0.5, "float64"))  # exact: only the exponent moves
        return self.op(kind, a, b)

    def _seems_one(self, value: Value) -> bool:
        """Whether ONNX Runtime would drop a factor: its optimiser compares with 1 in float32."""
        import numpy as np

        array = self.array(value)
        if array is None or array.dtype != np.float64 or array.size != 1:
            return False
        return bool(array.item() != 1 and np.float32(array.item()) == 1)

    def add(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("Add", left, right)

    def sub(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("Sub", left, right)

    def mul(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("Mul", left, right)

    def div(self, left: Operand, right: Operand) -> Value:
        """numpy's true division: integers become float64."""
        return self.arithmetic("Div", left, right)

    def pow(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("Pow", left, right)

    def matmul(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("MatMul", left, right)

    def maximum(self, left: Operand, right: Operand) -> Value:
        """numpy.maximum: NaN wins."""
        return self.arithmetic("Max", left, right)

    def minimum(self, left: Operand, right: Operand) -> Value:
        """numpy.minimum: NaN wins."""
        return self.arithmetic("Min", left, right)

    def less(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("Less", left, right)

    def less_equal(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("LessOrEqual", left, right)

    def greater(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("Greater", left, right)

    def greater_equal(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("GreaterOrEqual", left, right)

    def equal(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("Equal", left, right)

    def where(self, condition: Value, left: Operand, right: Operand) -> Value:
        """`left` where `condition`, else `right`, after promotion; booleans by way of int64."""
        a, b = self._promoted(left, right)
        if a.dtype != "bool":
            return self.op("Where", condition, a, b)
        return self.cast(self.op("Where", condition, self.cast(a, "int64"), self.cast(b, "int64")), "bool")

    @contextmanager
    def aside(self) -> Iterator[list[onnx.NodeProto]]:
        """Nodes written inside go to the list that is given: the body of a branch; see `branches`."""
        kept = self._nodes, self._written
        self._nodes, self._written = [], dict(self._written)
        try:
            yield self._nodes
        finally:
            self._nodes, self._written = kept

    # --- the end ----------------------------------------------------------------------------------

    def build(self, opset: int | None = None) -> onnx.ModelProto:
        """The model, checked. Raises `UnsupportedModelError` for an opset it cannot have."""
        import onnx
        from onnx import helper

        opset = OPSET if opset is None else opset
        if not OPSET <= opset <= NEWEST_OPSET:
            raise UnsupportedModelError(
                f"classical models are written at opset {OPSET} to {NEWEST_OPSET}, not {opset}",
                hint=f"Leave --opset out, or ask for {OPSET}.",
            )
        outputs = {output.name for output in self._outputs}
        self._nodes = named_where_made(self._nodes, outputs)
        nodes, wanted = needed(self._nodes, outputs)
        constants = [tensor for tensor in self._initializers if tensor.name in wanted]
        graph = helper.make_graph(nodes, "model", self._inputs, self._outputs, constants)
        versions = {"": opset, "ai.onnx.ml": ML_OPSET, MICROSOFT: 1}
        domains = {"", *domains_of(nodes)}
        imports = [
            helper.make_opsetid(domain, version) for domain, version in versions.items() if domain in domains
        ]
        model = helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION, producer_name="zoo")
        onnx.checker.check_model(model)
        return model

    def inline(
        self, model: onnx.ModelProto, feeds: Sequence[Value], outputs: Sequence[tuple[str, str]]
    ) -> list[Value]:
        """Copy the nodes of `model` in, its inputs fed by `feeds`; gives `outputs` (name, dtype).

        For leaves that an upstream converter is proven right for; see `families.upstream`.
        """
        from onnx import compose

        key = ("inline", model.SerializeToString(deterministic=True), tuple(feeds), tuple(outputs))
        if key in self._written:
            return list(self._written[key])
        prefix = self._fresh("leaf") + "."
        graph = compose.add_prefix_graph(model.graph, prefix)
        self._initializers.extend(graph.initializer)
        for source, feed in zip(graph.input, feeds):
            self._nodes.append(self._node("Identity", [feed.name], [source.name], "", {}))
        self._nodes.extend(graph.node)
        self._written[key] = tuple(Value(prefix + name, dtype) for name, dtype in outputs)
        return list(self._written[key])

    # --- inside -----------------------------------------------------------------------------------

    def _promoted(self, left: Operand, right: Operand) -> tuple[Value, Value]:
        import numpy as np

        a, b = self._typed(left, right), self._typed(right, left)
        if a.dtype == b.dtype:
            return a, b
        if "string" in (a.dtype, b.dtype):
            raise TypeError(f"{a.dtype} and {b.dtype} have no common dtype ({' > '.join(self.path)})")
        common = str(np.result_type(a.dtype, b.dtype))
        return self.cast(a, common), self.cast(b, common)

    def _typed(self, operand: Operand, other: Operand) -> Value:
        """A python scalar in the dtype of the other side (NEP 50), anything else as it is."""
        import numpy as np

        scalar = isinstance(operand, (bool, int, float)) and not isinstance(operand, np.generic)
        dtype = getattr(other, "dtype", None)
        if not scalar or dtype is None or str(dtype) == "string":
            return self.value(operand)
        return self.constant(operand, str(np.result_type(cast(Any, operand), np.dtype(str(dtype)))))

    def _store(self, array: np.ndarray, dtype: str) -> Value:
        from onnx import helper, numpy_helper

        value = Value(self._fresh("const"), dtype)
        if dtype == "string":
            texts = [str(item).encode("utf-8") for item in array.ravel()]
            tensor = helper.make_tensor(value.name, 8, array.shape, texts)
        else:
            tensor = numpy_helper.from_array(array, value.name)
        self._initializers.append(tensor)
        self._arrays[value.name] = array
        return value

    def _node(
        self, kind: str, inputs: list[str], outputs: list[str], domain: str, attributes: dict[str, Any]
    ) -> onnx.NodeProto:
        from onnx import helper

        name = "/".join([*self.path, outputs[0]])
        return helper.make_node(kind, inputs, outputs, name=name, domain=domain, **attributes)

    def _fresh(self, stem: str) -> str:
        name, number = stem, len(self._used)
        while name in self._used:
            name, number = f"{stem}_{number}", number + 1
        self._used.add(name)
        return name


def _fingerprint(attributes: dict[str, Any]) -> tuple[Any, ...]:
    plain = {
        name: value.SerializeToString() if hasattr(value, "SerializeToString") else repr(value)
        for name, value in attributes.items()
    }
    return tuple(sorted(plain.items()))


def _numpy_dtype(dtype: str) -> np.dtype[Any]:
    import numpy as np

    return np.dtype(object) if dtype == "string" else np.dtype(dtype)


def _value_info(value: Value, shape: Sequence[Any]) -> onnx.ValueInfoProto:
    from onnx import helper

    return helper.make_tensor_value_info(
        value.name, helper.np_dtype_to_tensor_dtype(_numpy_dtype(value.dtype)), list(shape)
    )
