"""Files that stand for another file, or for the failure to get it."""

from __future__ import annotations

import re

from zoo.detection.source import BrokenFileError, Source, parse_json
from zoo.errors import UnsupportedFileError


def refuse_pointer(source: Source) -> None:
    """Raise `UnsupportedFileError` for a pointer, a web page or a server's error message."""
    head = source.head[:4096]
    for look in (_lfs, _xet, _annex, _dvc, _page, _server_error):
        if found := look(head):
            message, hint = found
            raise UnsupportedFileError(f"{source.path.name} is {message}", hint=hint)


Found = tuple[str, str] | None


def _lfs(head: bytes) -> Found:
    if not re.match(rb"version https://(git-lfs|hawser)\.github\.com/spec/v1", head):
        return None
    oid = re.search(rb"oid sha256:([0-9a-f]{64})", head)
    size = re.search(rb"size (\d+)", head)
    what = f"sha256 {oid[1].decode()}" if oid else "no digest"
    return (
        f"a Git LFS pointer ({what}, {_bytes(size)}), not the model itself",
        "Run `git lfs pull` in its repository, or pull it with a source like "
        "`github-lfs:owner/repo@commit/path`.",
    )


def _xet(head: bytes) -> Found:
    if not head.startswith(b"# xet version"):
        return None
    size = re.search(rb"filesize\s*=\s*(\d+)", head)
    return (
        f"a Xet pointer ({_bytes(size)}), not the model itself",
        "Download the file through its host, such as `hf:owner/repo@revision/path`.",
    )


def _annex(head: bytes) -> Found:
    if re.match(rb"(\.\./)*(\.git)?/annex/objects/", head):
        return "a git-annex pointer, not the model itself", "Run `git annex get` in its repository."
    return None


def _dvc(head: bytes) -> Found:
    if re.match(rb"(md5: \w+\n)?outs:\n- (md5|etag|path): ", head):
        return "a DVC pointer, not the model itself", "Run `dvc pull` in its repository."
    return None


def _page(head: bytes) -> Found:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:2048].lower()
    if start.startswith((b"<!doctype html", b"<html")) or (start[:1] == b"<" and b"<html" in start):
        title = re.search(rb"<title[^>]*>([^<]{1,80})", head, re.IGNORECASE)
        named = f" titled {title[1].decode('utf-8', 'replace').strip()!r}" if title else ""
        return (
            f"an HTML page{named}, not a model: the address it came from shows a web page",
            "Download the raw file (on GitHub `…/raw/…`, on Hugging Face `…/resolve/…`).",
        )
    return None


def _server_error(head: bytes) -> Found:
    hint = "The download failed; check the address and the credentials, and get the file again."
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if re.match(rb"(<\?xml[^>]*\?>\s*)?<Error>\s*<Code>", start):
        code = re.search(rb"<Code>([^<]{1,60})", start)
        return f"a storage server's error message ({code[1].decode() if code else '?'})", hint
    if len(start) < 4000 and start.startswith(b"{") and (message := _json_error(start)):
        return f"a server's error message: {message[:120]!r}", hint
    return None


def _json_error(text: bytes) -> str | None:
    try:
        value = parse_json(text)
    except BrokenFileError:
        return None
    if not isinstance(value, dict) or len(value) > 6:
        return None
    found = value.get("error") or value.get("message") or value.get("detail")
    return str(found) if found and not {"learner", "nodes", "modelTopology"} & value.keys() else None


def _bytes(size: re.Match[bytes] | None) -> str:
    return f"{int(size[1])} bytes" if size else "size not given"
