"""One digest for graphs that compute the same in the same way, whatever their names and order.

tf2onnx numbers its nodes differently on each run, exporters write source paths and times: two files
of the same model rarely have the same sha256. This digest is that of the computation.

The algorithm, ``zoo-graph-digest-1``. H is sha256 over its arguments, each preceded by its length.

1. A value is named by the hash of how it is computed: a graph input by its position, dtype, shape
   (names of dynamic axes by first appearance) and depth of nesting; an initialiser by dtype,
   dimensions and little-endian bytes; the i-th output of a node by H(node, i). An absent optional
   input is the empty string.
2. A node is H(domain, operator, attributes sorted by name, hashes of its inputs without absent ones
   at the end, which outputs exist). An attribute that is a graph is the digest of that graph, where
   values of the outer graph keep their hashes. A call of a function of the file is hashed with the
   digest of its body in place of the operator's name.
3. The graph is H(inputs, hashes of the outputs in order with dtype and shape, the sorted hashes of
   all nodes); the model adds the opset version of each domain that its nodes use.

So names, order, producer, doc strings, metadata, IR version, inferred shapes and unused initialisers
do not count; operators, attributes, weights, topology, order, dtypes and shapes of inputs and outputs
do. A Constant node and an initialiser are different graphs, as is a default that is written out.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, Optional, Tuple, Union

from zoo.errors import CheckError

if TYPE_CHECKING:
    import onnx

ALGORITHM = "zoo-graph-digest-1"

Env = Dict[str, bytes]
"""Hashes of the values that are visible, by name."""

_CHUNK = 1 << 24


def graph_digest(model: Union[Path, onnx.ModelProto], folder: Optional[Path] = None) -> str:
    """The canonical digest (64 hex digits) of a model or file; `folder` holds external data.

    Raises `CheckError` when a node uses a value that no earlier node, input or initialiser gives.
    """
    if isinstance(model, (str, Path)):
        folder = Path(model).parent
        model = loaded(Path(model))
    return _Digester(model, folder).digest().hex()


def loaded(path: Path) -> onnx.ModelProto:
    """The model without its external data; `CheckError` if the file is no ONNX model."""
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
    except FileNotFoundError as error:
        raise CheckError(f"{path} does not exist") from error
    except Exception as error:  # protobuf's own exception types differ between its versions
        raise CheckError(f"{path} is not an ONNX model: {error}") from error
    if not model.HasField("graph"):
        raise CheckError(f"{path} is not an ONNX model: it has no graph")
    return model


def h(*parts: Union[bytes, str, int]) -> bytes:
    """sha256 over the parts, each preceded by its length, so that no two lists collide."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()


class _Digester:
    """Digests one model; functions are digested once each."""

    def __init__(self, model: Any, folder: Optional[Path]) -> None:
        self._model = model
        self._folder = folder
        self._functions = {_key(f.domain, f.name, f): f for f in model.functions}
        self._bodies: Dict[Tuple[str, str, str], bytes] = {}
        self._axes: Dict[str, str] = {}
        self._domains: set[str] = set()
        self._depth = 0

    def digest(self) -> bytes:
        body = self._graph(self._model.graph, {})
        versions = {_domain(entry.domain): entry.version for entry in self._model.opset_import}
        used = sorted(f"{name}={versions.get(name, 0)}" for name in self._domains)
        return h(ALGORITHM, body, *used)

    def _graph(self, graph: Any, outer: Env) -> bytes:
        env = dict(outer)
        self._depth += 1
        stored = {tensor.name for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in stored]
        types = [self._type(value) for value in inputs]
        for i, value in enumerate(inputs):
            env[value.name] = h("input", i, types[i], self._depth)
        for tensor in graph.initializer:
            env[tensor.name] = self._tensor(tensor)
        for sparse in graph.sparse_initializer:
            env[sparse.values.name] = self._sparse(sparse)
        nodes = self._nodes(graph.node, env)
        outputs = [h(_resolved(env, value.name), self._type(value)) for value in graph.output]
        self._depth -= 1
        return h("graph", *types, "outputs", *outputs, "nodes", *nodes)

    def _nodes(self, nodes: Iterable[Any], env: Env) -> list[bytes]:
        """Hashes of the nodes, sorted; puts their outputs into `env`."""
        hashes = []
        for node in nodes:
            digest = self._node(node, env)
            hashes.append(digest)
            for i, name in enumerate(node.output):
                if name:
                    env[name] = h("output", digest, i)
        return sorted(hashes)

    def _node(self, node: Any, env: Env) -> bytes:
        inputs = [_resolved(env, name) if name else b"" for name in node.input]
        while inputs and not inputs[-1]:
            inputs.pop()
        outputs = "".join("1" if name else "0" for name in node.output).rstrip("0")
        attributes = sorted((a.name, self._attribute(a, env)) for a in node.attribute)
        flat = [part for pair in attributes for part in pair]
        return h("node", self._operator(node), len(flat), *flat, len(inputs), *inputs, outputs)

    def _operator(self, node: Any) -> bytes:
        key = _key(node.domain, node.op_type, node)
        if key in self._functions:
            return h("function", self._function(key))
        self._domains.add(_domain(node.domain))
        return h("operator", _domain(node.domain), node.op_type)

    def _function(self, key: Tuple[str, str, str]) -> bytes:
        if key not in self._bodies:
            self._bodies[key] = b""
            self._bodies[key] = self._body(self._functions[key])
        elif not self._bodies[key]:
            raise CheckError(f"the function {key[1]!r} calls itself", hint="ONNX forbids recursion.")
        return self._bodies[key]

    def _body(self, function: Any) -> bytes:
        env: Env = {name: h("parameter", i) for i, name in enumerate(function.input)}
        defaults = sorted((a.name, self._attribute(a, env)) for a in function.attribute_proto)
        names = sorted(function.attribute)
        nodes = self._nodes(function.node, env)
        outputs = [_resolved(env, name) for name in function.output]
        flat = [part for pair in defaults for part in pair]
        return h(len(function.input), *names, "defaults", *flat, "outputs", *outputs, "nodes", *nodes)

    def _attribute(self, attribute: Any, env: Env) -> bytes:
        if attribute.ref_attr_name:
            return h("reference", attribute.ref_attr_name)
        kind = int(attribute.type)
        read = _ATTRIBUTES.get(kind)
        if read is not None:
            return h(kind, *[_scalar(item) for item in read(attribute)])
        if kind in (4, 9):
            return h(kind, *[self._tensor(t) for t in ([attribute.t] if kind == 4 else attribute.tensors)])
        if kind in (5, 10):
            return h(kind, *[self._graph(g, env) for g in ([attribute.g] if kind == 5 else attribute.graphs)])
        if kind in (11, 12):
            sparse = [attribute.sparse_tensor] if kind == 11 else attribute.sparse_tensors
            return h(kind, *[self._sparse(item) for item in sparse])
        types = [attribute.tp] if kind == 13 else attribute.type_protos
        return h(kind, *[self._type_proto(item) for item in types])

    def _type(self, value: Any) -> bytes:
        return self._type_proto(value.type)

    def _type_proto(self, proto: Any) -> bytes:
        kind = proto.WhichOneof("value") or "none"
        if kind in ("tensor_type", "sparse_tensor_type"):
            tensor = getattr(proto, kind)
            known = "ranked" if tensor.HasField("shape") else "any"
            return h(kind, tensor.elem_type, known, *[self._axis(dim) for dim in tensor.shape.dim])
        if kind in ("sequence_type", "optional_type"):
            return h(kind, self._type_proto(getattr(proto, kind).elem_type))
        if kind == "map_type":
            return h(kind, proto.map_type.key_type, self._type_proto(proto.map_type.value_type))
        return h(kind)

    def _axis(self, dim: Any) -> str:
        if dim.HasField("dim_value"):
            return str(dim.dim_value)
        if not dim.dim_param:
            return "?"
        return self._axes.setdefault(dim.dim_param, f"axis{len(self._axes)}")

    def _sparse(self, sparse: Any) -> bytes:
        dims = [str(dim) for dim in sparse.dims]
        return h("sparse", *dims, self._tensor(sparse.values), self._tensor(sparse.indices))

    def _tensor(self, tensor: Any) -> bytes:
        digest = hashlib.sha256()
        if tensor.data_location == 1:
            self._hash_external(tensor, digest)
        else:
            digest.update(_content(tensor))
        return h("tensor", tensor.data_type, *[str(dim) for dim in tensor.dims], "data", digest.digest())

    def _hash_external(self, tensor: Any, digest: Any) -> None:
        info = {entry.key: entry.value for entry in tensor.external_data}
        location = info.get("location", "")
        if self._folder is None or ".." in Path(location).parts or Path(location).is_absolute():
            raise CheckError(f"external data {location!r} of {tensor.name!r} is not in the model's folder")
        left = int(info.get("length", -1) or -1)
        try:
            with (self._folder / location).open("rb") as file:
                file.seek(int(info.get("offset", 0) or 0))
                while left and (chunk := file.read(_CHUNK if left < 0 else min(left, _CHUNK))):
                    digest.update(chunk)
                    left -= len(chunk) if left > 0 else 0
        except OSError as error:
            raise CheckError(f"external data {location!r} of {tensor.name!r}: {error}") from error


_ATTRIBUTES: Dict[int, Any] = {
    1: lambda a: [a.f],
    2: lambda a: [a.i],
    3: lambda a: [a.s],
    6: lambda a: a.floats,
    7: lambda a: a.ints,
    8: lambda a: a.strings,
}


def _scalar(item: Union[float, int, bytes]) -> bytes:
    """Exact bytes of an attribute's value; ``repr`` of a float is exact, NaN and -0.0 included."""
    return item if isinstance(item, bytes) else repr(item).encode()


def _content(tensor: Any) -> bytes:
    """Little-endian bytes of the elements; text with the length of each string before it."""
    if tensor.data_type == 8:
        return h(*tensor.string_data)
    if tensor.HasField("raw_data"):
        return bytes(tensor.raw_data)
    return _packed(tensor)


def _packed(tensor: Any) -> bytes:
    """Elements from the typed fields, in the bytes that ``raw_data`` would have."""
    import onnx

    plain = onnx.TensorProto()
    plain.CopyFrom(tensor)
    array = onnx.numpy_helper.to_array(plain)
    return bytes(onnx.numpy_helper.from_array(array).raw_data)


def _resolved(env: Env, name: str) -> bytes:
    if name not in env:
        raise CheckError(f"the value {name!r} is used before anything computes it")
    return env[name]


def _key(domain: str, name: str, item: Any) -> Tuple[str, str, str]:
    return (_domain(domain), name, getattr(item, "overload", ""))


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name
