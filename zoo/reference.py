"""The source's answers, kept in the store: a second proof of the same source does not run it again.

What is kept is the folder that the source's worker left: description, feeds, answers and noise. Its key is
the digest of everything that determines them: the source, what was asked, the converter's code and the
environment that ran it. The source is all files that make it up (`zoo.siblings`). Code of the user's may
import anything that is in no digest, so what depends on it is never kept.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import plugins, wire
from zoo.artifacts import file_digest
from zoo.errors import StoreError
from zoo.store import Store

if TYPE_CHECKING:
    from zoo.environments import Environment
    from zoo.records import ConversionRequest, Json

KIND = "answers"
FORMAT = 2
MOST = 1 << 29
"""Bytes of answers that are kept of one source."""


def key_of(request: ConversionRequest, environment: Environment) -> str:
    """The digest of what determines the answers to `request` in `environment`."""
    parts: list[Json] = [
        FORMAT,
        [request.artifact.digest, request.artifact.path.name, request.artifact.files],
        [request.framework, request.kind, request.options, request.seed],
        wire.to_json(list(request.inputs)),
        None if request.sample is None else file_digest(request.sample),
        [_content(path) for path in request.data_sets],
        plugins.converter_target(request.framework),
        _code(request.framework),
        _packages(environment),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _content(path: Path) -> str:
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return ",".join(f"{file.name}:{file_digest(file)}" for file in files)


def _code(framework: str) -> str:
    """The digest of all Python files that make feeds, ask, and convert."""
    own = Path(__file__).parent
    roots = [own / "verification", own / "worker.py", own / "tensors.py", *plugins.package_of(framework)]
    digest = hashlib.sha256()
    for root in roots:
        for file in [root] if root.is_file() else sorted(root.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _packages(environment: Environment) -> list[Json]:
    """The lock file of an isolated environment, else everything that is installed here, with its version."""
    machine: list[Json] = [environment.python, platform.machine()]
    return [*machine, environment.lock if environment.isolated else _installed()]


def _installed() -> list[Json]:
    """Names such as ``numpy-2.3.1.dist-info``: reading them is a thousandth of asking importlib.metadata."""
    folders = [Path(entry) for entry in sys.path if Path(entry).is_dir()]
    return [*sorted({path.name for folder in folders for path in folder.glob("*.dist-info")})]


def recall(key: str, store: Store, folder: Path) -> Path | None:
    """Unpack the answers that were kept under `key` into `folder`; None where there are none."""
    value = store.recall(KIND, key)
    blob = store.find(str(value["sha256"])) if isinstance(value, dict) and "sha256" in value else None
    if blob is None:
        return None
    with tarfile.open(blob) as archive:
        archive.extractall(folder, filter="data")
    return folder


def keep(key: str, store: Store, folders: tuple[Path, ...]) -> str | None:
    """Keep what `folders` hold; the reason where it was not, which is no error."""
    files = {name: path for folder in reversed(folders) for name, path in _files(folder)}
    size = sum(path.stat().st_size for path in files.values())
    if size > MOST:
        return f"the source's answers are not kept: {size >> 20} MiB are more than {MOST >> 20}"
    try:
        with store.receiving(None, None) as arriving:
            with tarfile.open(arriving.path, "w") as archive:
                for name, path in sorted(files.items()):
                    archive.add(path, name, recursive=False)
            blob = arriving.commit()
        store.remember(KIND, key, {"sha256": blob.digest})
    except (StoreError, OSError) as error:
        return f"the source's answers are not kept: {error}"
    return None


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Regular files only: a worker that nobody trusts wrote them."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(folder).as_posix(), path
