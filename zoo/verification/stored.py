"""Arrays of an .npz file that stay on disk until they are looked at.

`zoo.tensors.save_tensors` stores members uncompressed, so each lies in the file as a plain .npy and can
be mapped into memory: an output of many gigabytes is compared without holding it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from zoo.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

_LOCAL_HEADER = 30
"""Bytes of a zip member's local header before its name and extra field (APPNOTE.TXT 4.3.7)."""


class StoredTensors(Mapping[str, "np.ndarray"]):
    """The arrays of a file that `save_tensors` wrote, by name and in its order; never unpickles.

    Raises `StoreError` for a file that is not one.
    """

    def __init__(self, path: Path) -> None:
        import numpy as np

        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self._members = {info.filename: info for info in archive.infolist()}
                with archive.open("names.npy") as file:
                    names = [str(name) for name in np.lib.format.read_array(file, allow_pickle=False)]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise StoreError(f"{path} does not hold named tensors: {error}") from error
        self._names = {name: f"t{i}.npy" for i, name in enumerate(names)}

    def __getitem__(self, name: str) -> np.ndarray:
        member = self._members.get(self._names[name])
        if member is None or member.compress_type != zipfile.ZIP_STORED:
            raise StoreError(f"{self._path} does not hold {name!r} as a plain array")
        try:
            return self._mapped(member)
        except (OSError, ValueError) as error:
            raise StoreError(f"{self._path} does not hold {name!r} as a plain array: {error}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _mapped(self, member: zipfile.ZipInfo) -> np.ndarray:
        import numpy as np

        with self._path.open("rb") as file:
            file.seek(member.header_offset)
            header = file.read(_LOCAL_HEADER)
            skipped = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
            file.seek(member.header_offset + _LOCAL_HEADER + skipped)
            shape, fortran, dtype = _npy_header(file)
            offset = file.tell()
        if dtype.hasobject:
            raise ValueError("it holds Python objects")
        if 0 in shape or dtype.itemsize == 0:
            return np.zeros(shape, dtype=dtype)
        order: Any = "F" if fortran else "C"
        mapped = np.memmap(self._path, dtype, "r", offset, shape, order)
        return mapped.view(np.ndarray) if shape else np.asarray(mapped).reshape(shape)


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    import numpy as np

    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)
