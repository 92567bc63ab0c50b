"""Which environments are right for a file, by what it says of the versions that wrote it.

A pickle of scikit-learn is the state of its objects, which changes from one minor release to the next: what
an older one left out is missing, and what it kept otherwise is read wrongly, at times without an error
(forests of 1.3 give other labels under 1.9). So it is loaded by the minor release that saved it, whose patch
releases keep their state; by another one only where that was measured. See docs/old-pickles.md.
"""

from __future__ import annotations

import re

from zoo.environments.earlier import MEASURED
from zoo.errors import UnsupportedFileError
from zoo.records import Detection

RELEASES = ("0.24", "1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "1.9")
"""The minor releases of scikit-learn that have a lock file, ``sklearn-<release>``."""


def locks_for(framework: str, detection: Detection) -> tuple[str, ...]:
    """Names of the lock files whose environments load this file right, the best first.

    Raises `UnsupportedFileError` for a pickle of scikit-learn that no environment loads right.
    """
    if framework == "torch" and detection.kind == "hf_folder":
        return ("torch", "transformers") if _is_built_here(detection) else ("transformers",)
    versions = detection.details.get("versions", {})
    if framework == "lightgbm" and _is_old_wrapper(detection, versions):
        return ("lightgbm-3.3",)
    saved = versions.get("scikit-learn")
    if framework != "sklearn" or saved is None:
        return (framework,)
    _refuse_mixture(detection)
    minor = minor_of(saved)
    if minor in RELEASES:
        return (f"sklearn-{minor}",)
    if minor is not None and minor == minor_of(_here()):
        return (framework,)  # newer than any lock, and the very release that is installed
    return (_measured(saved, minor, detection),)


def _is_built_here(detection: Detection) -> bool:
    """Whether the converter of torch has the module of a Hugging Face folder itself."""
    return detection.details.get("architectures") == ["BertModel"]


def _is_old_wrapper(detection: Detection, versions: dict[str, str]) -> bool:
    """An estimator of LightGBM 3 lacks what those of 4 read of themselves; Boosters are read by either."""
    wrapper = str(detection.details.get("class", "")).startswith("lightgbm.sklearn.")
    return wrapper and versions.get("lightgbm model format") == "v3"


def minor_of(version: str) -> str | None:
    """``"1.3"`` of ``"1.3.2"``; None where it is no version.

    >>> minor_of("0.22.2.post1"), minor_of("<0.22")
    ('0.22', None)
    """
    found = re.match(r"(\d+)\.(\d+)", version)
    return f"{found[1]}.{found[2]}" if found else None


def _measured(saved: str, minor: str | None, detection: Detection) -> str:
    release, classes = MEASURED.get(minor or "", (None, frozenset()))
    if release is None:
        raise _refusal(saved, f"there are environments of {RELEASES[0]} to {RELEASES[-1]} only")
    other = sorted(set(detection.details.get("sklearn_classes", ())) - classes)
    if other:
        raise _refusal(saved, f"that {release} loads it right was not measured for {', '.join(other[:5])}")
    return f"sklearn-{release}"


def _refuse_mixture(detection: Detection) -> None:
    stated = detection.details.get("sklearn_versions", [])
    if len({minor_of(version) for version in stated}) > 1:
        raise _refusal(" and ".join(stated), "no one environment is right for all of its parts")


def _refusal(saved: str, why: str) -> UnsupportedFileError:
    return UnsupportedFileError(
        f"the file was saved by scikit-learn {saved}: {why}",
        hint=f"Fit it again with one of {RELEASES[0]} to {RELEASES[-1]}, and save that.",
    )


def _here() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("scikit-learn")
    except PackageNotFoundError:
        return ""
