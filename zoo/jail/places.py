"""What a jailed command must be able to read: its Python, the system's libraries, this package."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from zoo.records import record

_SYSTEM = ("/usr", "/lib", "/lib64", "/lib32")
_ETC = (
    "ld.so.cache ld.so.conf ld.so.conf.d alternatives localtime locale.alias nsswitch.conf passwd group "
    "os-release mime.types fonts"
)
_KERNEL = (
    "/proc/cpuinfo /proc/meminfo /proc/stat /proc/filesystems /proc/version /proc/sys/kernel "
    "/proc/sys/vm/overcommit_memory /sys/devices/system /sys/fs/cgroup "
    "/sys/kernel/mm/transparent_hugepage /sys/bus/pci"
)
_LOADERS = (
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


@record
class Places:
    """Paths for a jail, resolved: readable, only listed, executable."""

    readable: tuple[Path, ...]
    listed: tuple[Path, ...]
    executable: tuple[Path, ...]


def places(program: Path, readable: tuple[Path, ...]) -> Places:
    """The places for a command that begins with `program`, a Python interpreter or other binary."""
    own = Path(__file__).resolve().parents[1]
    packages = [own, own.parent / "converters", *own.parent.glob("onnx_zoo_pipeline*")]
    wanted = [*map(Path, _SYSTEM), *(Path("/etc") / name for name in _ETC.split())]
    wanted += [*map(Path, _KERNEL.split()), *packages, *_prefixes(program), *readable]
    found = dict.fromkeys(path.resolve() for path in wanted if path.exists())
    loaders = [Path(path).resolve() for path in _LOADERS if Path(path).exists()]
    return Places(
        readable=tuple(path for path in found if path != Path("/")),
        listed=(own.parent,),
        executable=(program.resolve(), *loaders),
    )


@lru_cache(maxsize=64)
def _prefixes(program: Path) -> tuple[Path, ...]:
    """The environment of an interpreter, and the installation that it was made from."""
    found = []
    if program.parent.name == "bin":
        found.append(program.parent.parent)
    settings = program.parent.parent / "pyvenv.cfg"
    if settings.is_file():
        for line in settings.read_text().splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "home":
                found.append(Path(value.strip()).parent)
    real = program.resolve()
    if real.parent.name == "bin":
        found.append(real.parent.parent)
    # A program in /usr/bin has /usr as its prefix; one in /bin would have the whole system.
    return tuple(path for path in found if path.resolve() != Path("/"))
