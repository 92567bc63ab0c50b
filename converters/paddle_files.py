"""Which files make a Paddle model: a program and its parameters, in one folder.

``x.json`` (Paddle 3) or ``x.pdmodel`` (before) beside ``x.pdiparams``; before Paddle 2 ``__model__``
beside ``__params__``. Any of them, or the folder, is given; the others are found.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Mapping, Optional

from zoo.errors import MissingInputError, UnsupportedFileError
from zoo.records import record

PROGRAMS = (".json", ".pdmodel")
PARAMETERS = ".pdiparams"
_OLDEST = {"__model__": "__params__"}


@record
class PaddleFiles:
    """A program and its parameters; None where nothing beside the program could be them."""

    program: Path
    parameters: Optional[Path]

    @property
    def is_old(self) -> bool:
        """Whether the program is a ProgramDesc (a protocol buffer), not Paddle 3's JSON."""
        return self.program.suffix != ".json"


def found(path: Path, kind: str, options: Mapping[str, object]) -> PaddleFiles:
    """The files of the model that `path` belongs to; option ``program`` chooses among several in a folder.

    Raises `UnsupportedFileError` where the program is not there, `MissingInputError` where it is not clear.
    """
    if path.is_dir():
        program = _program_in(path, options.get("program"))
    elif kind == "pdiparams":
        program = _program_of(path)
    else:
        program = path
    return PaddleFiles(program, _parameters_of(program))


def _program_in(folder: Path, chosen: object) -> Path:
    if chosen is not None:
        program = folder / Path(str(chosen)).name
        if not program.is_file():
            raise UnsupportedFileError(f"{folder.name} has no program {chosen!r}")
        return program
    programs = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and _parameters_of(path) and _is_program(path)
    ]
    if len(programs) == 1:
        return programs[0]
    names = ", ".join(path.name for path in programs)
    if programs:
        raise MissingInputError(
            f"{folder.name} holds several Paddle programs: {names}",
            hint="--option program=NAME chooses one; or give that file.",
        )
    raise UnsupportedFileError(f"{folder.name} has no Paddle program with its {PARAMETERS} file beside it")


def _is_program(path: Path) -> bool:
    return path.is_file() and (path.suffix in PROGRAMS or path.name in _OLDEST)


def _program_of(parameters: Path) -> Path:
    beside = [parameters.with_suffix(suffix) for suffix in PROGRAMS]
    beside += [parameters.with_name(model) for model, named in _OLDEST.items() if named == parameters.name]
    programs = [path for path in beside if path.is_file()]
    if not programs:
        names = " or ".join(path.name for path in beside)
        raise UnsupportedFileError(
            f"{parameters.name} holds the parameters of a Paddle model, whose program is not beside it",
            hint=f"Put {names} into the same folder.",
        )
    return programs[0]


def _parameters_of(program: Path) -> Optional[Path]:
    named = _OLDEST.get(program.name)
    path = program.with_suffix(PARAMETERS) if named is None else program.with_name(named)
    return path if path.is_file() else None


_BYTES = {0: 1, 1: 2, 2: 4, 3: 8, 4: 2, 5: 4, 6: 8, 20: 1, 21: 1, 22: 2, 23: 8, 24: 16}
"""Size of an element by Paddle's number of its type."""


def refuse_cut_off(parameters: Path) -> None:
    """Raise `UnsupportedFileError` where the last tensor has fewer bytes than its shape says.

    Paddle does not notice, and takes what lies in memory for the rest.
    """
    size = parameters.stat().st_size
    with parameters.open("rb") as file:
        while file.tell() < size:
            try:
                data = _data_size(file)
            except (struct.error, KeyError, IndexError, ValueError):
                return  # Paddle itself refuses a head that it cannot read
            end = file.tell() + data
            if end > size:
                raise UnsupportedFileError(
                    f"{parameters.name} is cut off: its last tensor needs {end - size} bytes more",
                    hint="Get the file again.",
                )
            file.seek(end)


def _data_size(file: BinaryIO) -> int:
    """Read the head of a tensor; the bytes of its data, which follow."""
    _, levels, _, length = struct.unpack("<IQIi", file.read(20))
    if levels or not 0 < length < 4096:
        raise ValueError("no head of a parameter, which has no levels of detail")
    kind, numbers = _description(file.read(length))
    count = 1
    for number in numbers:
        count *= number
    return count * _BYTES[kind]


def _description(data: bytes) -> tuple[int, list[int]]:
    """Type and dimensions of a TensorDesc: field 1 a number, field 2 numbers, packed or not."""
    kind, numbers, place = 0, [], 0
    while place < len(data):
        tag, place = _varint(data, place)
        if tag == 0x12:
            length, place = _varint(data, place)
            end = place + length
            while place < end:
                number, place = _varint(data, place)
                numbers.append(number)
            continue
        number, place = _varint(data, place)
        if tag == 0x08:
            kind = number
        else:
            numbers.append(number)
    return kind, numbers


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7
