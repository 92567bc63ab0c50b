"""Every deliberate error of `zoo`, and the exit code each one ends a command with.

::

    ZooError
    ├── UsageError                 the call itself is wrong                      2
    │   └── OutputExistsError      the output is there and --force was not given 13
    ├── RegistryError              the registry cannot be read                   3
    │   ├── RegistryFormatError    a key is wrong: file, line and key path
    │   └── UnknownModelError      no entry of that name
    ├── FetchError                 no source gave the bytes                      4
    │   ├── SourceError            one source failed, and why (see `zoo.transfer`)
    │   ├── OfflineError           it is not in the store, and offline was asked for
    │   └── DigestMismatchError    bytes came, but not the ones that were pinned 5
    ├── StoreError                 the store cannot be read or written           6
    │   ├── DiskFullError
    │   └── CorruptBlobError       a blob no longer hashes to its name
    ├── UnsupportedFileError       unknown, broken or unsupported model file     7
    ├── ConversionError            the source framework or converter failed      8
    │   ├── UnsupportedModelError  ONNX or the converter cannot say this model
    │   ├── MissingInputError      shapes, dtypes or a sample must be given
    │   └── WorkerError            the worker process crashed or met a limit
    ├── CheckError                 the ONNX file is not valid or does not load   9
    ├── VerificationError          outputs differ from the source's             10
    ├── MissingPackageError        a framework is not installed                 11
    │   ├── MissingPythonError     no Python of the version that its environment needs
    │   ├── MissingJavaError       no Java that its own library needs
    │   └── EnvironmentBuildError  its environment could not be built
    └── UnsafeFileError            refused: loading it could run its author's code 12

Only the command line catches these, prints them and exits. Anything else that escapes is a
defect of ours and ends with 1.
"""

from __future__ import annotations

from typing import Any, ClassVar, Optional


class ZooError(Exception):
    """What happened, with values; `hint` says what to do next.

    `detail` may hold more lines for who wants them all, such as the output of a worker process.
    """

    exit_code: ClassVar[int] = 1
    detail: Optional[str] = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return _rebuild, (type(self), self.message, self.hint, self.__dict__)


def _rebuild(kind: type[ZooError], message: str, hint: str | None, state: dict[str, object]) -> ZooError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update(state, message=message, hint=hint)
    return error


class UsageError(ZooError):
    """The call is wrong: an option, a value or a combination."""

    exit_code = 2


class OutputExistsError(UsageError):
    """The output file exists and was not made to be overwritten."""

    exit_code = 13


class RegistryError(ZooError):
    """The registry cannot be found or read."""

    exit_code = 3


class RegistryFormatError(RegistryError):
    """A key of the registry is wrong; the message names file, line and key path."""


class UnknownModelError(RegistryError):
    """No entry, variant or alias has that name."""


class FetchError(ZooError):
    """No source gave the bytes."""

    exit_code = 4


class SourceError(FetchError):
    """One source failed. Subclasses in `zoo.transfer` name the cause."""


class OfflineError(FetchError):
    """The bytes are not in the store, and no socket may be opened."""


class DigestMismatchError(FetchError):
    """Bytes came, but they are not the pinned ones."""

    exit_code = 5


class StoreError(ZooError):
    """The store cannot be read or written."""

    exit_code = 6


class DiskFullError(StoreError):
    """The file system of the store has no room for the file; sizes in bytes where known."""

    needed: Optional[int] = None
    available: Optional[int] = None


class CorruptBlobError(StoreError):
    """A blob no longer hashes to its name; it was moved to quarantine."""


class UnsupportedFileError(ZooError):
    """The file is of no known format, broken, or of a format without a converter."""

    exit_code = 7


class UnknownFormatError(UnsupportedFileError):
    """The file is whole, but of no format that this version knows."""


class ConversionError(ZooError):
    """The source framework or its converter failed on this model."""

    exit_code = 8


class UnsupportedModelError(ConversionError):
    """ONNX, or the converter, cannot express this model; the message names the part."""


class MissingInputError(ConversionError):
    """Input shapes, dtypes or a sample are needed; the hint names the option."""


class WorkerError(ConversionError):
    """The worker process crashed, ran out of memory or met its time limit."""


class CheckError(ZooError):
    """The ONNX file is structurally invalid or ONNX Runtime does not load it."""

    exit_code = 9


class VerificationError(ZooError):
    """The ONNX model does not compute what its source computes.

    `report` is the `zoo.records.VerificationReport` that says where, or None.
    """

    exit_code = 10
    report: Any = None


class MissingPackageError(ZooError):
    """A package that the conversion needs is not installed; the hint says how to get it."""

    exit_code = 11


class MissingPythonError(MissingPackageError):
    """No Python of the version that an environment needs was found; the hint says how to get one."""


class MissingJavaError(MissingPackageError):
    """No Java that can run a model's own library was found; the hint says how to get one."""


class EnvironmentBuildError(MissingPackageError):
    """An isolated environment could not be built; `detail` holds what the installer said."""


class UnsafeFileError(ZooError):
    """Loading the file could run code of its author's, and nothing allowed it."""

    exit_code = 12


EXIT_CODES: dict[int, str] = {
    0: "success",
    1: "an internal error: please report it",
    2: "the command line is wrong",
    3: "the registry cannot be read, or knows no such model",
    4: "no source gave the bytes (network, host, credentials, offline)",
    5: "bytes came, but their digest is not the pinned one",
    6: "the store cannot be read or written (disk full, permissions, damaged blob)",
    7: "the file is of no known format, broken, or has no converter",
    8: "the conversion failed",
    9: "the ONNX file is invalid or does not load",
    10: "the ONNX outputs differ from the source's",
    11: "a needed package is not installed",
    12: "refused for safety: loading the file could run code",
    13: "the output exists (use --force)",
    14: "`zoo doctor` found something that does not work",
    130: "interrupted",
}
