"""Wheels and locks made on the spot: small packages that pip installs in earnest."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path


def make_wheel(folder: Path, name: str, version: str = "1.0", code: str = "", padding: int = 0) -> str:
    """Write a wheel with one module and `padding` bytes of data; the sha256 of the file."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code.encode(),
        f"{name}_data.bin": bytes(padding),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, data in files.items():
            wheel.writestr(zipfile.ZipInfo(member), data)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def write_lock(folder: Path, name: str, pins: dict[str, str], python: str = ">=3.9", more: str = "") -> None:
    """Write ``name.toml`` and ``name.txt``; `pins` is {distribution: sha256} at version 1.0."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = ", ".join(f'"{pin}==1.0"' for pin in pins)
    (folder / f"{name}.toml").write_text(
        f'title = "Small"\npython = "{python}"\nrequirements = [{wanted}]\nextra = "small"\n{more}'
    )
    lines = [f"{pin}==1.0 \\\n    --hash=sha256:{digest}\n" for pin, digest in pins.items()]
    (folder / f"{name}.txt").write_text("# made for a test\n" + "".join(lines))
