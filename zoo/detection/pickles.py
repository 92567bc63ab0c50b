"""A pickle machine that builds descriptions instead of objects.

It follows the stack, the marks and the memo exactly as the unpickler of Python does, so that names
which only come together at run time (STACK_GLOBAL, strings from the memo) are known, and calls
nothing. The raw arrays that joblib writes between opcodes are passed over by their size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from zoo.detection.joblib_arrays import count, has_objects, itemsize
from zoo.detection.opcodes import read_opcode
from zoo.detection.pickle_values import REBUILDERS, WRAPPERS, Global, Made, Pairs
from zoo.detection.source import UNPACK_ERRORS, BrokenFileError, Elided, Tape

MAX_OPCODES = 30_000_000
GLIMPSE = 1_000_000
"""Opcodes that are enough to tell what a pickle is, though not whether it is safe."""


@dataclass(slots=True)
class Scan:
    """All that was seen. `broken` says why it ended early."""

    limit: int = MAX_OPCODES

    globals: dict[Global, int] = field(default_factory=dict)
    """Each global that was asked for, with the byte where first."""
    calls: dict[str, int] = field(default_factory=dict)
    """What was called, by name, with the byte where first."""
    watched: dict[str, list[Any]] = field(default_factory=dict)
    guarded: list[tuple[Global, Any]] = field(default_factory=list)
    """Calls whose arguments matter: see `GUARDED`."""
    oddities: list[str] = field(default_factory=list)
    """What no honest pickler writes, or what hides what is called."""
    protocol: int = 0
    opcodes: int = 0
    nested: int = 0
    persistent: bool = False
    aligned: bool = False
    """Whether joblib padded the arrays between the opcodes, as it does since 1.2."""
    top: Any = None
    broken: str | None = None
    end: int = 0

    @property
    def joblib(self) -> bool:
        return any(
            found.name in WRAPPERS and found.module.split(".")[-1].startswith("numpy_pickle")
            for found in self.globals
        )


GUARDED = frozenset({"_ufunc_reconstruct", "Booster"})
"""Names whose calls are kept with their arguments, for the audit."""
WATCHED = frozenset({"_sklearn_version", "handle", "_handle", "_model_str", "__model", "model_str"})


def scan(tape: Tape, limit: int = MAX_OPCODES, joblib: bool = False) -> Scan:
    """Follow one pickle to its STOP; errors of its bytes end in `broken`, never raise.

    With `joblib` it is read as joblib does, with raw arrays between the opcodes. To a plain
    unpickler those bytes are opcodes: choose by who will load the file.

    Of a broken or too long pickle, `top` is the object that it had begun to fill.
    """
    found = Scan(limit=limit)
    machine = Machine(tape, found, joblib)
    try:
        found.top = machine.run()
    except (*UNPACK_ERRORS, RecursionError, MemoryError) as error:
        found.top, found.broken = machine.bottom(), str(error) or type(error).__name__
    found.end = tape.position
    return found


class Machine:
    """The stack, marks and memo of one pickle stream."""

    def __init__(self, tape: Tape, found: Scan, joblib: bool) -> None:
        self.tape = tape
        self.found = found
        self.joblib = joblib
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The description of the object that the pickle would give."""
        found, tape, steps = self.found, self.tape, _STEPS
        while True:
            name, arg = read_opcode(tape)
            found.opcodes += 1
            if found.opcodes > found.limit:
                raise BrokenFileError(f"more than {found.limit} opcodes")
            if name == "STOP":
                return self.pop()
            steps[name](self, arg)

    # --- stack -------------------------------------------------------------------------------

    def pop(self) -> Any:
        if not self.stack:
            raise BrokenFileError(f"takes from an empty stack at {self.tape.position}")
        return self.stack.pop()

    def bottom(self) -> Any:
        return next((part[0] for part in (*self.marks, self.stack) if part), None)

    def last(self) -> Any:
        if not self.stack:
            raise BrokenFileError(f"looks at an empty stack at {self.tape.position}")
        return self.stack[-1]

    def pop_mark(self) -> list[Any]:
        if not self.marks:
            raise BrokenFileError(f"no mark on the stack at {self.tape.position}")
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def mark(self, arg: Any) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def pop_any(self, arg: Any) -> None:
        # As in the unpickler: POP on an empty part of the stack takes the mark away.
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    # --- globals and calls ---------------------------------------------------------------------

    def ask(self, module: Any, name: Any) -> Any:
        if not isinstance(module, str) or not isinstance(name, str):
            self.odd("a global whose name is computed")
            return Global("?", "?")
        target = Global(module, name)
        self.found.globals.setdefault(target, self.tape.position)
        return target

    def call(self, target: Any, args: Any) -> Made:
        rebuilds = isinstance(target, Global) and target in REBUILDERS
        if not rebuilds and hands_on_wrapper(args):
            self.odd(f"hands joblib's array wrapper to {target}")
        if not isinstance(target, Global):
            self.odd(f"calls {_kind(target)}, which is no global")
        elif target.name in GUARDED and len(self.found.guarded) < 10_000:
            self.found.guarded.append((target, args))
        self.found.calls.setdefault(str(target) if isinstance(target, Global) else "?", self.tape.position)
        return Made(target, args)

    def odd(self, text: str) -> None:
        if len(self.found.oddities) < 50:
            self.found.oddities.append(f"{text} (byte {self.tape.position})")

    def stack_global(self, arg: Any) -> None:
        name, module = self.pop(), self.pop()
        self.stack.append(self.ask(module, name))

    def reduce(self, arg: Any) -> None:
        args, target = self.pop(), self.pop()
        self.stack.append(self.call(target, args))

    def newobj_ex(self, arg: Any) -> None:
        kwargs, args, target = self.pop(), self.pop(), self.pop()
        self.stack.append(self.call(target, (args, kwargs)))

    def inst(self, arg: Any) -> None:
        args = tuple(self.pop_mark())
        self.stack.append(self.call(self.ask(*arg), args))

    def obj(self, arg: Any) -> None:
        items = self.pop_mark()
        if not items:
            raise BrokenFileError(f"OBJ without a class at {self.tape.position}")
        self.stack.append(self.call(items[0], tuple(items[1:])))

    def extension(self, arg: Any) -> None:
        self.odd(f"EXT opcode {arg}: a class from a registry of the reading process")
        self.stack.append(Made(None, (arg,)))

    def persistent(self, arg: Any) -> None:
        self.found.persistent = True
        what = arg if arg is not None else self.pop()
        # torch < 1.6 wrote each class as ("module", class, file, source), and reads the class back.
        module = isinstance(what, tuple) and len(what) == 4 and what[0] == "module"
        self.stack.append(what[1] if module else Made("persistent", what))

    # --- state ------------------------------------------------------------------------------------

    def build(self, arg: Any) -> None:
        state, target = self.pop(), self.last()
        if isinstance(target, Made):
            target.states.append(state)
            if self.joblib and is_wrapper(target.cls):
                if not isinstance(state, Pairs):
                    # Slots could change the class of the wrapper, and with it what joblib reads next.
                    raise BrokenFileError(f"an array wrapper with an odd state at {self.tape.position}")
                self.stack[-1] = self.array(target)
        else:
            self.odd(f"sets the state of {_kind(target)}")

    def put_items(self, pairs: list[Any]) -> None:
        target = self.last()
        for key, value in zip(pairs[::2], pairs[1::2], strict=False):
            if isinstance(key, str) and key in WATCHED:
                self.found.watched.setdefault(key, []).append(value)
        if isinstance(target, Pairs):
            target.extend(pairs)
        elif isinstance(target, Made):
            target.items.extend(pairs)
        else:
            self.odd(f"sets items of {_kind(target)}")

    def setitem(self, arg: Any) -> None:
        value, key = self.pop(), self.pop()
        self.put_items([key, value])

    def setitems(self, arg: Any) -> None:
        self.put_items(self.pop_mark())

    def append_all(self, items: list[Any]) -> None:
        target = self.last()
        if isinstance(target, Made):
            target.items.extend(items)
        elif isinstance(target, list):
            target.extend(items)
        else:
            self.odd(f"appends to {_kind(target)}")

    def append(self, arg: Any) -> None:
        value = self.pop()
        self.append_all([value])

    def appends(self, arg: Any) -> None:
        self.append_all(self.pop_mark())

    # --- memo ---------------------------------------------------------------------------------------

    def put(self, arg: Any) -> None:
        self.memo[arg] = self.last()

    def memoize(self, arg: Any) -> None:
        self.memo[len(self.memo)] = self.last()

    def get(self, arg: Any) -> None:
        if arg not in self.memo:
            raise BrokenFileError(f"memo entry {arg} was never written (byte {self.tape.position})")
        self.stack.append(self.memo[arg])

    # --- literals -------------------------------------------------------------------------------------

    def literal(self, arg: Any) -> None:
        self.stack.append(arg)

    def take_tuple(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def gather_list(self, arg: Any) -> None:
        items = self.pop_mark()
        self.stack.append(items)

    def gather_tuple(self, arg: Any) -> None:
        items = self.pop_mark()
        self.stack.append(tuple(items))

    def gather_dict(self, arg: Any) -> None:
        items = self.pop_mark()
        self.stack.append(Pairs())
        self.put_items(items)

    def protocol(self, arg: Any) -> None:
        self.found.protocol = max(self.found.protocol, arg)
        if arg > 5:
            raise BrokenFileError(f"pickle protocol {arg} does not exist")

    # --- joblib -----------------------------------------------------------------------------------------

    def array(self, wrapper: Made) -> Made:
        """Pass over the array that follows a joblib wrapper; one of objects is a pickle itself."""
        dtype, shape = wrapper.attribute("dtype"), wrapper.attribute("shape")
        if has_objects(dtype):
            self.found.nested += 1
            # joblib reads it with the plain unpickler.
            content = Machine(self.tape, self.found, joblib=False).run()
            return Made(Global("numpy", "ndarray"), (shape, content))
        if wrapper.attribute("numpy_array_alignment_bytes") is not None:
            self.found.aligned = True
            self.tape.take(self.tape.take(1)[0])
        self.tape.pass_over(count(shape) * itemsize(dtype))
        return Made(Global("numpy", "ndarray"), (shape, dtype))


def is_wrapper(cls: Global | None) -> bool:
    """Whether joblib reads an array after an instance of this class."""
    return cls is not None and WRAPPERS.get(cls.name) == "inline" and "numpy_pickle" in cls.module


def hands_on_wrapper(args: Any, depth: int = 0) -> bool:
    """Whether a call is given the wrapper's class, which it could make instances of."""
    if isinstance(args, Global):
        return is_wrapper(args)
    return (
        depth < 6
        and isinstance(args, (tuple, list))
        and any(hands_on_wrapper(one, depth + 1) for one in args[:50])
    )


def _kind(value: Any) -> str:
    if isinstance(value, Made):
        return f"the result of {value.callable}"
    return f"a {type(value).__name__}" if not isinstance(value, Global) else f"the global {value}"


_LITERALS = (
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES "
    "SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT BINFLOAT"
)
Step = Callable[[Machine, Any], None]
_STEPS: dict[str, Step] = {
    **dict.fromkeys(_LITERALS.split(), Machine.literal),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), Machine.extension),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Machine.get),
    "MEMOIZE": Machine.memoize,
    "NONE": lambda m, _: m.stack.append(None),
    "NEWTRUE": lambda m, _: m.stack.append(True),
    "NEWFALSE": lambda m, _: m.stack.append(False),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_TUPLE": lambda m, _: m.stack.append(()),
    "EMPTY_DICT": lambda m, _: m.stack.append(Pairs()),
    "EMPTY_SET": lambda m, _: m.stack.append([]),
    "LIST": Machine.gather_list,
    "TUPLE": Machine.gather_tuple,
    "DICT": Machine.gather_dict,
    "FROZENSET": Machine.gather_list,
    "TUPLE1": lambda m, _: m.take_tuple(1),
    "TUPLE2": lambda m, _: m.take_tuple(2),
    "TUPLE3": lambda m, _: m.take_tuple(3),
    "MARK": Machine.mark,
    "POP": Machine.pop_any,
    "POP_MARK": lambda m, _: (m.pop_mark(), None)[1],
    "DUP": lambda m, _: m.stack.append(m.last()),
    "NEXT_BUFFER": lambda m, _: m.stack.append(Made("buffer", None)),
    "READONLY_BUFFER": lambda m, _: None,
    "FRAME": lambda m, _: None,
    "PROTO": Machine.protocol,
    "GLOBAL": lambda m, arg: m.stack.append(m.ask(*arg)),
    "STACK_GLOBAL": Machine.stack_global,
    "REDUCE": Machine.reduce,
    "NEWOBJ": Machine.reduce,
    "NEWOBJ_EX": Machine.newobj_ex,
    "INST": Machine.inst,
    "OBJ": Machine.obj,
    "BUILD": Machine.build,
    "PERSID": Machine.persistent,
    "BINPERSID": Machine.persistent,
    "SETITEM": Machine.setitem,
    "SETITEMS": Machine.setitems,
    "APPEND": Machine.append,
    "APPENDS": Machine.appends,
    "ADDITEMS": Machine.appends,
}
__all__ = ["Elided", "Global", "Made", "Pairs", "Scan", "scan"]
