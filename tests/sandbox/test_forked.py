"""Children of a warm worker: as locked up as a process of their own, and strangers to each other."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zoo import sandbox
from zoo.errors import WorkerError
from zoo.jail.forking import ForkServer
from zoo.sandbox import Completed, Limits

pytestmark = pytest.mark.skipif(
    not sandbox.forkable(Limits(level="landlock+seccomp")) or sandbox.levels.landlock_abi() < 1,
    reason="landlock does not work here",
)

MODULE = """
import sys
seen = []

def main(folder):
    exec(compile((folder / "job.py").read_text(), "job.py", "exec"), {"seen": seen, "folder": folder})
    return 0
"""

Run = Callable[..., Completed]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForkServer]:
    code = tmp_path / "code"
    code.mkdir()
    (code / "forked_job.py").write_text(MODULE)
    started = sandbox.serve(Path(sys.executable), ("forked_job", "no_such_module"), {"PYTHONPATH": str(code)})
    yield started
    started.close()


@pytest.fixture
def run(server: ForkServer, tmp_path: Path) -> Run:
    def run(script: str, name: str = "job", **limits: object) -> Completed:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "job.py").write_text(script)
        bounds = Limits(**{"level": "landlock+seccomp", **limits})  # type: ignore[arg-type]
        return sandbox.run_forked(server, "forked_job", folder, bounds)

    return run


def test_a_child_writes_in_its_folder_and_says_what_it_says(run: Run, tmp_path: Path) -> None:
    done = run("print('hello'); (folder / 'out').write_text('made'); raise SystemExit(3)")
    assert (done.exit_code, done.stdout, done.level) == (3, "hello\n", "landlock+seccomp")
    assert (tmp_path / "job" / "out").read_text() == "made"


@pytest.mark.parametrize(
    "attack",
    [
        "open(str(folder.parent / 'escaped'), 'w')",
        "open(str(folder.parent / 'other' / 'job.py')).read()",
        "open('/etc/hostname').read()",
        "import socket; socket.socket()",
        "import os; os.fork()",
        "import subprocess; subprocess.run(['/bin/true'])",
        "import os; os.kill(os.getppid(), 9)",
        "import os; open('/proc/%d/mem' % os.getppid(), 'rb')",
        "import os; os.listdir('/proc/%d/fd' % os.getppid())",
        "import os; os.setsid()",
    ],
)
def test_an_attack_of_a_child_is_refused(run: Run, server: ForkServer, tmp_path: Path, attack: str) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "job.py").write_text("secret")
    done = run(f"try:\n    {attack}\nexcept OSError as error:\n    print('refused', error.errno)")
    assert done.stdout.startswith("refused"), done
    assert not (tmp_path / "escaped").exists()
    assert server.alive


def test_a_child_has_no_descriptor_but_its_output(run: Run) -> None:
    done = run("import os; print(sorted(int(name) for name in os.listdir('/proc/self/fd'))[:4])")
    assert done.stdout == "[0, 1, 2, 3]\n"  # 3 lists the folder


def test_a_child_sees_no_secret_of_the_parent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "canary")
    done = run("import os; print(sorted(os.environ)); print(open('/proc/self/environ').read())")
    assert "canary" not in done.stdout
    assert "'HOME', " in done.stdout


def test_what_one_child_changes_the_next_does_not_see(run: Run) -> None:
    assert run("seen.append(1); print(seen)").stdout == "[1]\n"
    assert run("print(seen)", "next").stdout == "[]\n"


def test_a_child_that_meets_a_limit_is_ended_alone(run: Run, server: ForkServer) -> None:
    assert run("while True: pass", seconds=0.5).exceeded == "time"
    assert (
        run("x = bytearray(600 << 20)\nwhile True: pass", memory=300 << 20, seconds=30).exceeded == "memory"
    )
    assert server.alive
    assert run("print('on')").stdout == "on\n"


def test_an_exception_of_a_child_is_printed_and_ends_it_with_one(run: Run) -> None:
    done = run("1 / 0")
    assert done.exit_code == 1
    assert "ZeroDivisionError" in done.stderr


def test_children_end_with_their_server(run: Run, server: ForkServer, tmp_path: Path) -> None:
    import threading

    def wait_long() -> None:
        with pytest.raises(WorkerError):
            run("import time; time.sleep(60)")

    thread = threading.Thread(target=wait_long)
    thread.start()
    while not (tmp_path / "job" / "job.py").exists():
        time.sleep(0.01)
    time.sleep(0.5)
    began = time.monotonic()
    os.kill(server.pid, 9)
    thread.join(20)
    assert time.monotonic() - began < 10


def test_a_server_that_has_ended_is_a_clear_error(run: Run, server: ForkServer) -> None:
    os.kill(server.pid, 9)
    with pytest.raises(WorkerError, match="warm worker has ended"):
        run("print(1)")
