"""Which files make a Paddle model: a program and its parameters, in one folder.

``x.json`` (Paddle 3) or ``x.pdmodel`` (before) beside ``x.pdiparams``; before Paddle 2 ``__model__``
beside ``__params__``. Any of them, or the folder, is given; the others are found.
"""

from __future__ import annotations

from pathlib import Path
from typing import Mapping, Optional

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
