"""The pickle machine agrees with Python's own: same opcodes, same names, same sizes of arrays."""

from __future__ import annotations

import collections
import contextlib
import io
import pickle
import pickletools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.detection import models
from zoo.detection.opcodes import read_opcode
from zoo.detection.pickles import scan
from zoo.detection.source import BrokenFileError, Source, Tape

VALUES = {
    "scalars": [0, 1, -1, 255, 256, 65536, -(2**31), 2**31, 2**200, -(2**200), 1.5, True, False, None],
    "texts": ["", "a", "é", "\ud800", "x" * 300, b"", b"a", b"x" * 300, bytearray(b"ab")],
    "containers": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], {}, {1: 2}, set(), {1}, frozenset({1})],
    "objects": [
        collections.OrderedDict(a=1),
        collections.deque([1]),
        complex(1, 2),
        range(3),
        Path("x"),
        int,
    ],
    "arrays": [np.arange(3), np.float64(1.5), np.array(["a"]), np.array([1, "a"], dtype=object)],
}


def ours(data: bytes) -> list[tuple[str, Any]]:
    tape, found = Tape(io.BytesIO(data)), []  # type: ignore[arg-type]
    while not found or found[-1][0] != "STOP":
        found.append(read_opcode(tape))
    return found


def theirs(data: bytes) -> list[tuple[str, Any]]:
    found = []
    for opcode, arg, _ in pickletools.genops(data):
        names = opcode.name in ("GLOBAL", "INST")
        found.append((opcode.name, tuple(arg.split(" ")) if names else arg))
    return found


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", VALUES)
def test_opcodes_are_those_of_pickletools(name: str, protocol: int) -> None:
    data = pickle.dumps(VALUES[name], protocol)

    assert ours(data) == theirs(data)


class Recorder(pickle.Unpickler):
    """Python's own unpickler, which notes what it asks for."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.asked: set[tuple[str, str]] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.asked.add((module, name))
        return super().find_class(module, name)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "model", [models.logistic, models.forest, models.pipeline_with_booster, models.text_columns]
)
def test_globals_are_those_that_the_unpickler_asks_for(model: Any, protocol: int) -> None:
    data = pickle.dumps(model(), protocol)
    recorder = Recorder(data)
    recorder.load()

    found = scan(Tape(io.BytesIO(data)))  # type: ignore[arg-type]

    assert {(one.module, one.name) for one in found.globals} == recorder.asked
    assert found.broken is None
    assert found.end == len(data)


def test_damaged_pickles_never_name_less_than_the_unpickler_asked_for() -> None:
    # What the unpickler asks for before it fails must have been seen, whatever the damage.
    whole = pickle.dumps([collections.OrderedDict(a=1), collections.deque([1]), Path("x"), range(3)], 4)
    rng = random.Random(0)
    asked_in_all = 0
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.choice(
                (0x93, 0x94, 0x68, 0x2E, 0x52, 0x63, rng.randrange(256))
            )
        recorder = Recorder(bytes(data))
        with contextlib.suppress(Exception):  # damage raises anything
            recorder.load()
        found = scan(Tape(io.BytesIO(bytes(data))))  # type: ignore[arg-type]
        asked_in_all += len(recorder.asked)
        assert recorder.asked <= {(one.module, one.name) for one in found.globals}
    assert asked_in_all > 3000


@pytest.mark.parametrize("dtype", ["f8", "<i4", ">f4", "?", "S5", "U7", "c16", "M8[s]", "V3", "O"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 5)])
def test_arrays_of_joblib_are_passed_over_by_their_size(
    dtype: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    import joblib

    joblib.dump({"before": 1, "array": np.zeros(shape, dtype), "after": "end"}, tmp_path / "a")

    with Source.open(tmp_path / "a") as source:
        found = scan(source.tape(), joblib=True)

    assert found.broken is None
    assert found.end == (tmp_path / "a").stat().st_size
    assert found.top.get("after") == "end"


def test_a_structured_array_of_joblib_is_passed_over(tmp_path: Path) -> None:
    import joblib

    joblib.dump([np.zeros(4, [("left", "<i8"), ("value", "<f4")]), "end"], tmp_path / "a")

    with Source.open(tmp_path / "a") as source:
        assert scan(source.tape(), joblib=True).top[1] == "end"


def test_a_long_literal_is_not_kept() -> None:
    data = pickle.dumps(bytes(1 << 20), 4)

    found = scan(Tape(io.BytesIO(data)))  # type: ignore[arg-type]

    assert (found.top.length, len(found.top.head)) == (1 << 20, 1 << 16)


def test_too_many_opcodes_end_the_scan() -> None:
    found = scan(Tape(io.BytesIO(pickle.dumps(list(range(1000))))), limit=100)  # type: ignore[arg-type]

    assert "more than 100 opcodes" in (found.broken or "")


def test_a_ceiling_ends_reading() -> None:
    with pytest.raises(BrokenFileError, match="more than 10 bytes"):
        Tape(io.BytesIO(bytes(100)), 10).take(11)  # type: ignore[arg-type]
