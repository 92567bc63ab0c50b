"""What a pickle machine builds instead of objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Global:
    """A module attribute that the pickle asks for. `name` may have dots."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Pairs(list[Any]):
    """A dict as the flat list of its keys and values: keys may be of any kind here."""

    def items(self) -> Iterator[tuple[Any, Any]]:
        return zip(self[::2], self[1::2], strict=False)

    def get(self, name: str) -> Any:
        """The last value under a string key, else None."""
        return next((value for key, value in reversed(list(self.items())) if key == name), None)


class Made:
    """What a call gives: the callable, its arguments, and what was put into the result."""

    __slots__ = ("args", "callable", "items", "states")

    def __init__(self, callable: Any, args: Any) -> None:
        self.callable = callable
        self.args = args
        self.states: list[Any] = []
        self.items = Pairs()

    @property
    def cls(self) -> Global | None:
        """The class, seen through the functions that pickles rebuild instances with."""
        if not isinstance(self.callable, Global):
            return None
        if self.callable in REBUILDERS and isinstance(self.args, tuple) and self.args:
            return self.args[0] if isinstance(self.args[0], Global) else None
        return self.callable

    def attribute(self, name: str) -> Any:
        """A value of the state that BUILD was given, else None."""
        for state in reversed(self.states):
            for part in state if isinstance(state, tuple) else (state,):
                if isinstance(part, Pairs) and (value := part.get(name)) is not None:
                    return value
        return None


REBUILDERS = frozenset(
    Global(module, name)
    for module in ("copyreg", "copy_reg")
    for name in ("_reconstructor", "__newobj__", "__newobj_ex__")
)
WRAPPERS = {
    "NumpyArrayWrapper": "inline",
    "NDArrayWrapper": "beside",
    "ZNDArrayWrapper": "beside",
}
