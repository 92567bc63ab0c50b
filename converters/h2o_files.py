"""What an H2O MOJO says: a zip archive of ``model.ini``, lists of categories and trees of bytes.

Source: hex.genmodel.ModelMojoReader and hex.genmodel.algos.*.…MojoReader of H2O 3.46.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from zoo.errors import UnsupportedFileError, UnsupportedModelError
from zoo.records import record

LARGEST = 512 << 20
"""Bytes that a member may unpack to, and all trees together."""
MOST_COLUMNS = 100_000


@record
class Mojo:
    """A model as it was saved. `columns` are those it reads; `classes` are the labels of a classifier.

    ``domains[i]`` are the categories of column i, None for a number. `info` is the section ``[info]``.
    """

    path: Path
    info: Dict[str, str]
    columns: Tuple[str, ...]
    domains: Tuple[Optional[Tuple[str, ...]], ...]
    classes: Optional[Tuple[str, ...]]
    first_of_ties: bool = False
    """Whether of equal probabilities the label is to be the first: H2O draws one by a hash of the row."""

    @property
    def labelled(self) -> bool:
        """Whether a label can be given: the few values of a forest's leaves often make classes equal."""
        return self.first_of_ties or self.algorithm != "drf" or self.class_count <= 2

    @property
    def algorithm(self) -> str:
        return self.info.get("algo", "?")

    @property
    def class_count(self) -> int:
        return self.integer("n_classes")

    def text(self, key: str) -> str:
        """Raises `UnsupportedFileError` where it is not there, as all of these do."""
        if key not in self.info:
            raise damaged(self.path, f"its model.ini has no {key!r}")
        return self.info[key]

    def integer(self, key: str) -> int:
        return int(self._number(key))

    def real(self, key: str) -> float:
        return self._number(key)

    def flag(self, key: str) -> bool:
        return self.info.get(key, "false") == "true"

    def numbers(self, key: str) -> List[float]:
        """A list such as ``[1.0, NaN]``; empty where there is none."""
        text = self.info.get(key, "null")
        if text == "null":
            return []
        try:
            return [float(word) for word in text.strip("[]").split(",") if word.strip()]
        except ValueError:
            raise damaged(self.path, f"{key!r} in its model.ini is no list of numbers") from None

    def _number(self, key: str) -> float:
        try:
            return float(self.text(key))
        except ValueError:
            raise damaged(self.path, f"{key!r} in its model.ini is {self.info[key][:80]!r}") from None


def read(path: Path, first_of_ties: bool = False) -> Mojo:
    """Raises `UnsupportedFileError` for a damaged file, `UnsupportedModelError` for what cannot be said."""
    try:
        with zipfile.ZipFile(path) as archive:
            text = member(archive, "model.ini", path).decode("utf-8")
            info, columns, files = _sections(text, path)
            domains = {number: _domain(archive, line, path) for number, line in files.items()}
        count = int(info.get("n_features", "0"))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError) as error:
        raise damaged(path, str(error)) from error
    if not 0 < count <= len(columns):
        raise damaged(path, f"it has {len(columns)} columns and reads {count}")
    classes = domains.get(len(columns) - 1) if info.get("supervised") == "true" else None
    found = Mojo(
        path, info, columns[:count], tuple(domains.get(i) for i in range(count)), classes, first_of_ties
    )
    _refuse(found)
    return found


def trees_of(mojo: Mojo) -> Dict[Tuple[int, int], bytes]:
    """The bytes of each tree, by class and number."""
    groups, count = mojo.integer("n_trees_per_class"), mojo.integer("n_trees")
    with zipfile.ZipFile(mojo.path) as archive:
        held = {info.filename: info.file_size for info in archive.infolist()}
        if not 0 < groups * count <= len(held):
            raise damaged(mojo.path, f"it announces {groups} times {count} trees")
        names = {(k, j): f"trees/t{k:02d}_{j:03d}.bin" for k in range(groups) for j in range(count)}
        absent = [name for name in names.values() if name not in held]
        if absent:
            raise damaged(mojo.path, f"it has no {absent[0]}")
        if sum(held[name] for name in names.values()) > LARGEST:
            raise damaged(mojo.path, f"its trees have more than {LARGEST} bytes")
        return {place: member(archive, name, mojo.path) for place, name in names.items()}


def member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    """The bytes of a member, at most `LARGEST`."""
    try:
        with archive.open(name) as file:
            data = file.read(LARGEST + 1)
    except KeyError:
        raise damaged(path, f"it has no {name}") from None
    if len(data) > LARGEST:
        raise damaged(path, f"{name} has more than {LARGEST} bytes")
    return data


def damaged(path: Path, reason: str) -> UnsupportedFileError:
    """The error for a file that does not hold together."""
    return UnsupportedFileError(f"{path.name} is no MOJO that can be read: {reason}")


def _sections(text: str, path: Path) -> Tuple[Dict[str, str], Tuple[str, ...], Dict[int, str]]:
    info: Dict[str, str] = {}
    columns: List[str] = []
    files: Dict[int, str] = {}
    section = ""
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("#") or not line:
            continue
        if line in ("[info]", "[columns]", "[domains]"):
            section = line
        elif section == "[info]":
            key, _, value = line.partition("=")
            info[key.strip()] = value.strip()
        elif section == "[columns]":
            columns.append(line)
        elif section == "[domains]":
            number, _, rest = line.partition(":")
            files[int(number)] = rest.strip()
    if not 0 < len(columns) <= MOST_COLUMNS or str(len(columns)) != info.get("n_columns"):
        raise damaged(path, f"it names {len(columns)} columns and says {info.get('n_columns')}")
    return info, tuple(columns), files


def _domain(archive: zipfile.ZipFile, line: str, path: Path) -> Tuple[str, ...]:
    """The categories in a file that a line such as ``4 d000.txt`` names."""
    count, _, name = line.partition(" ")
    if not re.fullmatch(r"d\d+\.txt", name):
        raise damaged(path, f"a list of categories is called {name[:80]!r}")
    text = member(archive, f"domains/{name}", path).decode("utf-8")
    if '"' in text or "\r" in text:
        raise UnsupportedModelError(
            f"{path.name} has categories with quotation marks or line breaks in them",
            hint="Train with other names for them.",
        )
    found = tuple(text.split("\n")[:-1] if text.endswith("\n") else text.split("\n"))
    if len(found) != int(count):
        raise damaged(path, f"domains/{name} has {len(found)} categories, {count} are announced")
    return found


def _refuse(mojo: Mojo) -> None:
    """Raise `UnsupportedModelError` for what no algorithm's graph says."""
    encoding = mojo.info.get("_genmodel_encoding", "AUTO")
    if encoding not in ("AUTO", "Enum"):
        raise UnsupportedModelError(
            f"{mojo.path.name} was trained with categorical_encoding={encoding!r}, which is not converted",
            hint="Train with AUTO or Enum.",
        )
    if mojo.info.get("offset_column", "null") != "null":
        raise UnsupportedModelError(
            f"{mojo.path.name} has an offset column, {mojo.info['offset_column']!r}, which is not converted",
            hint="Train without offset_column.",
        )
    if mojo.class_count > 1 and mojo.classes is None and mojo.flag("supervised"):
        raise UnsupportedModelError(f"{mojo.path.name} has classes without names (quasibinomial)")
