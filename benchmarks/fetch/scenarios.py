"""What is measured: a scenario is a server, a payload and the clients that fetch it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fetch.measuring import Run, Series, cleared, measured, python_client, serving

MiB = 2**20


@dataclass(frozen=True)
class Bound:
    """`ours` takes at most ``1 / ratio`` of the time of `peer`."""

    ours: str
    peer: str
    ratio: float
    figure: str = "seconds"


@dataclass(frozen=True)
class Scenario:
    """`clients` maps a name to the command that fetches ``(url, target)``."""

    title: str
    size: int
    server: tuple[str, ...]
    clients: dict[str, Callable[[str, Path], list[str]]]
    bounds: tuple[Bound, ...] = ()
    count: int = 1
    memory_limit: float | None = None
    """Peak memory in MB that `zoo` may have."""
    warm: bool = False
    """Whether each client fetched the same thing before: its own way of knowing that is measured."""
    on_disk: bool = False


def payload(folder: Path, size: int, number: int = 0) -> tuple[Path, str]:
    """A file of noise, and its sha256."""
    path = folder / f"{size}-{number}.bin"
    if not path.exists():
        with path.open("wb") as file:
            for at in range(0, size, MiB):
                file.write(os.urandom(min(MiB, size - at)))
    with path.open("rb") as file:
        return path, hashlib.file_digest(file, "sha256").hexdigest()


def single(folder: Path, size: int, names: list[str]) -> dict[str, Callable[[str, Path], list[str]]]:
    """The clients for one file, those that are installed."""
    path, sha256 = payload(folder, size)

    def order(base: str, target: Path, **more: object) -> dict[str, object]:
        return {"url": f"{base}/{path.name}", "to": str(target), "sha256": sha256, "size": size, **more}

    def aria2(connections: int) -> Callable[[str, Path], list[str]]:
        options = ["-q", f"-x{connections}", f"-s{connections}", "-k1M", f"--checksum=sha-256={sha256}"]
        return lambda base, target: ["aria2c", *options, "-d", str(target), f"{base}/{path.name}"]

    def curl(base: str, target: Path) -> list[str]:
        return ["curl", "-sS", "-o", str(target), "-w", "%{time_total}", f"{base}/{path.name}"]

    def curl_hash(base: str, target: Path) -> list[str]:
        check = f"curl -sS -o {target} {base}/{path.name} && sha256sum {target} | grep -q {sha256}"
        return ["sh", "-c", check]

    def python(name: str) -> Callable[[str, Path], list[str]]:
        return lambda base, target: python_client(name, order(base, target))

    def curl_again(base: str, target: Path) -> list[str]:
        note = target.with_suffix(".etag")
        return [*curl(base, target), "--etag-save", str(note), "--etag-compare", str(note)]

    known = {
        "zoo": python("zoo"),
        "zoo, into the store": python("zoo_store"),
        "raw loop": python("raw"),
        "curl, no hash": curl,
        "curl, sha256sum": curl_hash,
        "curl with an ETag, no hash": curl_again,
        "aria2c x1": aria2(1),
        "aria2c x4": aria2(4),
        "aria2c x8": aria2(8),
        "pooch": python("pooch"),
        "huggingface_hub, no hash": python("huggingface_hub"),
    }
    return {name: known[name] for name in names if is_installed(name)}


def several(folder: Path, size: int, count: int) -> dict[str, Callable[[str, Path], list[str]]]:
    """The clients for many small files."""
    files = [payload(folder, size, number) for number in range(count)]

    def order(base: str, target: Path) -> dict[str, object]:
        return {"to": str(target), "many": [(p.name, f"{base}/{p.name}", sha, size) for p, sha in files]}

    def curl(base: str, target: Path) -> list[str]:
        lines = [f'url = "{base}/{p.name}"\noutput = "{target / p.name}"' for p, _ in files]
        config = target.with_suffix(".curl")
        config.write_text("\n".join(lines))
        target.mkdir()
        return ["curl", "-sS", "--no-progress-meter", "-Z", "--parallel-max", "32", "-K", str(config)]

    def aria2(base: str, target: Path) -> list[str]:
        listing = target.with_suffix(".aria2")
        listing.write_text("\n".join(f"{base}/{p.name}\n checksum=sha-256={sha}" for p, sha in files))
        return ["aria2c", "-q", "-j32", "-d", str(target), "-i", str(listing)]

    known = {
        "zoo, into the store": lambda base, target: python_client("zoo_store", order(base, target)),
        "urllib3 pool": lambda base, target: python_client("pool", order(base, target)),
        "curl -Z 32, no hash": curl,
        "aria2c -j32": aria2,
        "pooch": lambda base, target: python_client("pooch", order(base, target)),
    }
    return {name: client for name, client in known.items() if is_installed(name)}


def is_installed(name: str) -> bool:
    """Whether a client is on this machine; says so where it is not."""
    first = name.replace(",", " ").split()[0]
    if first in ("zoo", "raw", "urllib3"):
        return True
    there = shutil.which(first) if first in ("curl", "aria2c") else importlib.util.find_spec(first)
    if not there:
        print(f"{first} is not installed: left out")
    return bool(there)


ALL = [
    "zoo", "zoo, into the store", "raw loop", "curl, no hash", "curl, sha256sum",
    "aria2c x1", "aria2c x4", "aria2c x8", "pooch", "huggingface_hub, no hash",
]  # fmt: skip
AGAIN = [
    "zoo, into the store", "curl with an ETag, no hash", "aria2c x1", "pooch", "huggingface_hub, no hash",
]  # fmt: skip
ONCE = {"pooch", "huggingface_hub, no hash", "curl, sha256sum", "aria2c x1", "aria2c x4"}
"""Clients that no bound is about, and slow ones: one round of them is enough."""
SLOW = ["zoo", "zoo, into the store", "curl, no hash", "aria2c x4", "aria2c x8"]
THROTTLE = ("--rate", "10e6", "--delay", "0.05")


def scenarios(folder: Path, *, quick: bool) -> list[Scenario]:
    """All scenarios, smaller ones where `quick`."""
    large = 256 * MiB if quick else 1024 * MiB
    name = "256 MiB" if quick else "1 GiB"
    loopback = (Bound("zoo", "curl, no hash", 1.0), Bound("zoo", "raw loop", 0.85))
    return [
        Scenario("Loopback, 100 MB", 100_000_000, (), single(folder, 100_000_000, ALL)),
        Scenario(f"Loopback, {name}", large, (), single(folder, large, ALL), loopback, memory_limit=60),
        Scenario(
            "One file of 100 MB, 10 MB/s for each connection, 50 ms",
            100_000_000,
            THROTTLE,
            single(folder, 100_000_000, SLOW),
            (Bound("zoo", "aria2c x8", 1.0),),
        ),
        Scenario(
            "One file of 400 MB, 10 MB/s for each connection, 50 ms",
            400_000_000,
            THROTTLE,
            single(folder, 400_000_000, [name for name in SLOW if "curl" not in name]),
            (Bound("zoo", "aria2c x8", 1.0),),
        ),
        Scenario(
            "200 files of 50 KB, 50 ms",
            200 * 50_000,
            ("--delay", "0.05"),
            several(folder, 50_000, 200),
            (Bound("zoo, into the store", "curl -Z 32, no hash", 1.0),),
            count=200,
        ),
        *_again(folder),
        *_on_disk(folder, large, name),
    ]


def _again(folder: Path) -> list[Scenario]:
    files = several(folder, 50_000, 200)
    return [
        Scenario("100 MB a second time", 100_000_000, (), single(folder, 100_000_000, AGAIN), warm=True),
        Scenario(
            "200 files of 50 KB a second time, 50 ms",
            200 * 50_000,
            ("--delay", "0.05"),
            {name: files[name] for name in ("zoo, into the store", "pooch") if name in files},
            count=200,
            warm=True,
        ),
    ]


def _on_disk(folder: Path, large: int, name: str) -> list[Scenario]:
    files, few = several(folder, 50_000, 200), ["zoo, into the store", "curl, no hash", "aria2c x8"]
    return [
        Scenario(f"Loopback, {name}, to disk", large, (), single(folder, large, few), on_disk=True),
        Scenario(
            "200 files of 50 KB, 50 ms, to disk",
            200 * 50_000,
            ("--delay", "0.05"),
            {name: client for name, client in files.items() if name != "pooch"},
            count=200,
            on_disk=True,
        ),
    ]


def run(scenario: Scenario, folder: Path, target: Path, rounds: int) -> list[Series]:
    """All clients of a scenario, one after the other, `rounds` times over."""
    series = {name: Series(name) for name in scenario.clients}
    with serving(folder, *scenario.server) as base:
        for turn in range(rounds):
            for name, client in scenario.clients.items():
                if turn == 0 or name not in ONCE:
                    series[name].runs.append(_once(scenario, client, base, target))
    return list(series.values())


def _once(scenario: Scenario, client: Callable[[str, Path], list[str]], base: str, target: Path) -> Run:
    command = client(base, cleared(target))
    if scenario.warm:
        measured(command)
    elif scenario.on_disk:
        os.sync()  # what the client before left to be written is not this one's
    taken = measured(command)
    cleared(target)
    return taken
