"""What a jailed command may do, what it may not, and how its end is told."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from tests.sandbox.jails import all_levels, isolating, run_python
from zoo import sandbox
from zoo.errors import UsageError, WorkerError

# --- what it may --------------------------------------------------------------------------------


@all_levels
def test_output_exit_code_and_level_are_told(jail: str, tmp_path: Path) -> None:
    done = run_python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)", tmp_path, jail)

    assert (done.stdout, done.stderr, done.exit_code, done.level) == ("out\n", "err\n", 3, jail)
    assert not done.ok


@all_levels
def test_files_may_be_written_in_its_folder_and_in_its_home(jail: str, tmp_path: Path) -> None:
    code = """
        import os, pathlib, tempfile
        pathlib.Path("a/b").mkdir(parents=True)
        pathlib.Path("a/b/c.txt").write_text("x")
        os.rename("a/b/c.txt", "d.txt")
        pathlib.Path.home().joinpath("cache").write_text("y")
        tempfile.NamedTemporaryFile().write(b"z")
    """

    done = run_python(code, tmp_path, jail)

    assert done.ok, done.stderr
    assert (tmp_path / "d.txt").read_text() == "x"


@all_levels
def test_what_is_named_readable_can_be_read(jail: str, tmp_path: Path) -> None:
    given, folder = tmp_path / "given.bin", tmp_path / "job"
    given.write_bytes(b"model")
    folder.mkdir()

    done = run_python(f"print(open({str(given)!r}).read())", folder, jail, (given,))

    assert done.stdout == "model\n", done.stderr


@all_levels
def test_numpy_threads_and_this_package_work(jail: str, tmp_path: Path) -> None:
    code = """
        import threading, numpy, onnxruntime, zoo.records, converters
        ones = numpy.ones((300, 300))
        thread = threading.Thread(target=lambda: print((ones @ ones).sum()))
        thread.start(); thread.join()
    """

    done = run_python(code, tmp_path, jail)

    assert done.stdout == "27000000.0\n", done.stderr


@all_levels
def test_the_environment_is_clean(jail: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    done = run_python("import os; print(sorted(os.environ.items()))", tmp_path, jail)

    assert "secret" not in done.stdout
    assert str(tmp_path / "tmp") in done.stdout


# --- what it may not ----------------------------------------------------------------------------

REFUSED = {
    "read a file elsewhere": "open({secret!r}).read()",
    "list a folder elsewhere": "import os; os.listdir({outside!r})",
    "write a file elsewhere": "open({outside!r} + '/new', 'w')",
    "append to a file elsewhere": "open({secret!r}, 'a').write('x')",
    "truncate a file elsewhere": "import os; os.truncate({secret!r}, 0)",
    "delete a file elsewhere": "import os; os.unlink({secret!r})",
    "rename a file elsewhere": "import os; os.rename({secret!r}, {secret!r} + '2')",
    "link to a file elsewhere": "import os; os.link({secret!r}, 'linked'); open('linked').read()",
    "follow its own symlink out": "import os; os.symlink({secret!r}, 's'); open('s').read()",
    "write through its own symlink": "import os; os.symlink({outside!r}, 'd'); open('d/new', 'w')",
    "read its parent's environment": "open('/proc/{parent}/environ', 'rb').read()[0]",
    "read its parent's memory": "open('/proc/{parent}/mem', 'rb').read(1)",
    "signal its parent": "import os; os.kill({parent}, 0)",
    "kill its parent": "import os, signal; os.kill({parent}, signal.SIGTERM)",
    "connect to a port": "import socket; socket.create_connection(('127.0.0.1', {port}))",
    "send a datagram": "from socket import *; socket(2, SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    "open a unix socket": "import socket; socket.socket(socket.AF_UNIX).connect({outside!r} + '/../socket')",
    "listen on a port": "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()",
    "start a shell": "import subprocess; subprocess.run(['/bin/sh', '-c', 'true'], check=True)",
    "become a shell": "import os; os.execv('/bin/sh', ['sh', '-c', 'exit 0'])" "\nraise SystemExit(0)",
    "fork": "import os; os.fork()",
    "mount": "import ctypes; assert ctypes.CDLL(None).mount(b'none', b'.', b'tmpfs', 0, None) == 0",
    "make a user namespace": "import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0",
    "trace its parent": "import ctypes; assert ctypes.CDLL(None).ptrace(16, {parent}, 0, 0) == 0",
    "raise its limits": "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))",
    "limit its parent": "import resource; resource.prlimit({parent}, resource.RLIMIT_NOFILE, (8, 8))",
    "outlive its parent": "import ctypes; assert ctypes.CDLL(None).prctl(1, 0, 0, 0, 0) == 0",
    "use a keyring": "import ctypes; assert ctypes.CDLL(None).syscall(250, 0, -3, 0) > 0",
    "read the disk": "import os; os.mknod('disk', 0o60600, os.makedev(8, 0)); open('disk', 'rb').read(1)",
    "share memory by key": "import ctypes; assert ctypes.CDLL(None).shmget(77, 9, 0o1600) >= 0",
}  # fmt: skip


@isolating
@pytest.mark.parametrize("what", REFUSED)
def test_it_may_not(what: str, jail: str, tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "job"
    outside.mkdir()
    folder.mkdir()
    (outside / "secret").write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        server.settimeout(0.05)
        local.bind(str(tmp_path / "socket"))
        local.listen()
        local.settimeout(0.05)
        given = {"secret": str(outside / "secret"), "outside": str(outside), "parent": os.getpid()}
        code = REFUSED[what].format(port=server.getsockname()[1], **given)

        done = run_python(code, folder, jail)

        assert done.exit_code not in (0, None), (done, code)
        for listener in (server, local):
            with pytest.raises(TimeoutError):
                listener.accept()
    assert (outside / "secret").read_text() == "secret"
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


PRETENDED = {
    "change a mode": "import os; os.chmod({secret!r}, 0o777)",
    "change a time": "import os; os.utime({secret!r}, (0, 0))",
    "change a mode through a descriptor": "import os; os.fchmod(os.open({given!r}, os.O_RDONLY), 0o777)",
    "make a set-uid program": "import os; open('p', 'w').close(); os.chmod('p', 0o4755)",
}


@isolating
@pytest.mark.parametrize("what", PRETENDED)
def test_it_only_seems_to(what: str, jail: str, tmp_path: Path) -> None:
    secret, given, folder = tmp_path / "secret", tmp_path / "given", tmp_path / "job"
    secret.write_text("secret")
    given.write_text("given")
    folder.mkdir()
    before = [(path.stat().st_mode, path.stat().st_mtime_ns) for path in (secret, given)]
    code = PRETENDED[what].format(secret=str(secret), given=str(given))

    run_python(code, folder, jail, (given,))

    assert [(path.stat().st_mode, path.stat().st_mtime_ns) for path in (secret, given)] == before
    assert not any(path.stat().st_mode & 0o6000 for path in folder.iterdir())


# --- limits -------------------------------------------------------------------------------------


@all_levels
def test_time_is_limited(jail: str, tmp_path: Path) -> None:
    done = run_python("while True: pass", tmp_path, jail, seconds=1.0)

    assert (done.exceeded, done.timed_out, done.ok) == ("time", True, False)
    assert done.seconds < 20


@all_levels
def test_a_large_allocation_fails(jail: str, tmp_path: Path) -> None:
    done = run_python("bytearray(3 << 30)", tmp_path, jail)

    assert "MemoryError" in done.stderr


@all_levels
def test_memory_that_grows_is_ended(jail: str, tmp_path: Path) -> None:
    code = """
        import mmap
        kept = []
        while True:
            kept.append(mmap.mmap(-1, 1 << 24))
            kept[-1].write(bytes(1 << 24))
    """

    done = run_python(code, tmp_path, jail, memory=200 << 20)

    assert done.out_of_memory
    assert done.peak_memory > 200 << 20


@all_levels
def test_a_large_file_fails(jail: str, tmp_path: Path) -> None:
    done = run_python("open('f', 'wb').write(bytes(3 << 20))", tmp_path, jail, file_size=1 << 20)

    assert "File too large" in done.stderr


@all_levels
def test_many_files_are_ended(jail: str, tmp_path: Path) -> None:
    code = "import time\nfor i in range(10**6): open(str(i), 'wb').write(bytes(1 << 20)); time.sleep(0.001)"

    done = run_python(code, tmp_path, jail, disk=50 << 20)

    assert done.exceeded == "disk"


@all_levels
def test_threads_are_limited(jail: str, tmp_path: Path) -> None:
    code = (
        "import threading, time\nfor _ in range(300): threading.Thread(target=time.sleep, args=(60,)).start()"
    )

    done = run_python(code, tmp_path, jail, processes=64)

    assert done.exceeded == "processes"


@all_levels
def test_output_is_cut_in_the_middle(jail: str, tmp_path: Path) -> None:
    done = run_python("print('a' * 500_000 + 'b' * 500_000)", tmp_path, jail, output=1000)

    assert done.stdout.startswith("a" * 500)
    assert done.stdout.endswith("b" * 499 + "\n")
    assert "999001 bytes left out" in done.stdout


@all_levels
def test_no_process_is_left(jail: str, tmp_path: Path) -> None:
    code = """
        import os, sys
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)", "MARK"])
    """

    mark = secrets.token_hex(8)

    done = run_python(code.replace("MARK", mark), tmp_path, jail, forks=True)

    assert done.ok, done.stderr
    assert mark not in running()


@all_levels
def test_a_daemon_is_not_left(jail: str, tmp_path: Path) -> None:
    code = """
        import os, sys
        if os.fork() == 0:
            try:
                os.setsid()
            except PermissionError:
                pass
            if os.fork() == 0:
                os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)", "MARK"])
            os._exit(0)
        os.wait()
    """

    mark = secrets.token_hex(8)

    done = run_python(code.replace("MARK", mark), tmp_path, jail, forks=True)

    assert done.ok, done.stderr
    assert mark not in running()


def test_everything_ends_when_the_parent_is_killed(tmp_path: Path) -> None:
    mark = secrets.token_hex(8)
    code = f"""import sys
from zoo import sandbox
from pathlib import Path
sandbox.run([sys.executable, "-c", "import time; time.sleep(60)", {mark!r}], Path({str(tmp_path)!r}))
"""
    parent = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
    wait_until(lambda: mark in running(excluding=parent))

    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)

    wait_until(lambda: mark not in running(excluding=parent))


def running(excluding: int = 0) -> str:
    lines = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in (excluding, os.getpid()):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            lines.append(b" ".join(words[-3:]).decode("utf-8", "replace") if len(words) < 8 else "")
    return "\n".join(lines)


def wait_until(holds) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


# --- levels -------------------------------------------------------------------------------------


def test_levels_are_ordered() -> None:
    assert sandbox.at_least("bwrap", "landlock+seccomp")
    assert sandbox.at_least("rlimits", "rlimits")
    assert not sandbox.at_least("rlimits", "landlock+seccomp")


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(UsageError, match="'docker'"):
        sandbox.at_least("docker", "rlimits")


def test_a_path_with_a_line_break_is_refused(tmp_path: Path) -> None:
    odd = tmp_path / "a\nread "
    odd.mkdir()

    with pytest.raises(UsageError, match="line break"):
        run_python("", odd, "landlock+seccomp")


def test_a_command_that_does_not_exist_is_a_worker_error(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="No such file"):
        sandbox.run([str(tmp_path / "python")], tmp_path, sandbox.Limits(level="rlimits"))
