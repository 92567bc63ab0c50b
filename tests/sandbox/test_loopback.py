"""A job that asks for a loopback has one that nobody else has, and nothing more than other jobs."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.jails import isolating, run_python
from zoo import sandbox
from zoo.jail import levels

TALK = """
    import os, socket
    listening = socket.create_server(("127.0.0.1", {port}))
    calling = socket.create_connection(listening.getsockname())
    calling.sendall(b"ping")
    print(listening.accept()[0].recv(4), os.getuid() == os.stat(".").st_uid)
"""


@isolating
def test_the_process_talks_to_itself(jail: str, tmp_path: Path) -> None:
    done = run_python(TALK.format(port=0), tmp_path, jail, loopback=True)

    assert done.stdout.startswith("b'ping'"), done.stderr


@isolating
def test_a_port_of_the_machine_is_another_port(jail: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        done = run_python(TALK.format(port=port), tmp_path, jail, loopback=True)
        ours.settimeout(0.2)
        with pytest.raises(TimeoutError):
            ours.accept()

    assert done.stdout.startswith("b'ping'"), done.stderr


@isolating
def test_what_it_writes_is_the_users(jail: str, tmp_path: Path) -> None:
    done = run_python("open('new', 'w').write('x')", tmp_path, jail, loopback=True)

    assert done.ok, done.stderr
    assert (tmp_path / "new").stat().st_uid == tmp_path.stat().st_uid


def test_it_holds_no_capability(tmp_path: Path) -> None:
    if levels.landlock_abi() < 1:
        pytest.skip("this kernel has no landlock")
    kinds = ("CapEff", "CapPrm", "CapBnd")
    code = f"print([line for line in open('/proc/self/status') if line.startswith({kinds})])"

    done = run_python(code, tmp_path, levels.LANDLOCK, loopback=True)

    assert done.ok, done.stderr
    assert done.stdout.count("0000000000000000") == 3, done.stdout


REFUSED = {
    "connect to the machine": "import socket; socket.create_connection(('127.0.0.1', {port}))",
    "connect to the world": "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)",
    "send a datagram to the machine": (
        "from socket import *; s = socket(2, SOCK_DGRAM); s.connect(('127.0.0.1', {port}));"
        "s.send(b'x'); s.send(b'x')"
    ),
    "open a unix socket": "import socket; socket.socket(socket.AF_UNIX)",
    "ask the kernel for routes": "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)",
    "listen to raw packets": "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)",
    "send raw packets": "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "add an address": (
        "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8916, "
        "struct.pack('16sH2x4s8x', b'lo', 2, bytes((10, 0, 0, 1))))"
    ),
    "read a file elsewhere": "open({secret!r}).read()",
    "write a file elsewhere": "open({secret!r} + '2', 'w')",
    "read its parent's environment": "open('/proc/{parent}/environ', 'rb').read()[0]",
    "signal its parent": "import os; os.kill({parent}, 0)",
    "start a shell": "import subprocess; subprocess.run(['/bin/sh', '-c', 'true'], check=True)",
    "become a shell": "import os; os.execv('/bin/sh', ['sh', '-c', 'exit 0'])\nraise SystemExit(0)",
    "fork": "import os; os.fork()",
    "mount": "import ctypes; assert ctypes.CDLL(None).mount(b'none', b'.', b'tmpfs', 0, None) == 0",
    "make another user namespace": "import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0",
    "enter another network": "import os; os.setns(os.open('/proc/{parent}/ns/net', os.O_RDONLY), 0)",
}


@isolating
@pytest.mark.parametrize("what", REFUSED)
def test_refused_beside_a_loopback(what: str, jail: str, tmp_path: Path) -> None:
    secret = secrets.token_hex()
    hidden, folder = tmp_path / "hidden", tmp_path / "job"
    hidden.write_text(secret)
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as ours:
        places = {"port": ours.getsockname()[1], "secret": str(hidden), "parent": os.getpid()}
        code = REFUSED[what].format(**places) + "\nprint('escaped')"

        done = run_python(code, folder, jail, loopback=True)

    assert "escaped" not in done.stdout
    assert secret not in done.stdout
    assert done.exit_code != 0


@isolating
def test_without_the_wish_there_is_no_loopback(jail: str, tmp_path: Path) -> None:
    done = run_python(TALK.format(port=0), tmp_path, jail)

    assert done.exit_code == 1
    assert "PermissionError" in done.stderr


def test_such_a_job_is_never_forked_from_a_warm_worker() -> None:
    assert not sandbox.forkable(sandbox.Limits(level=levels.LANDLOCK, loopback=True))


WITHOUT_NAMESPACES = """
import sys
from pathlib import Path

from zoo import sandbox
from zoo.errors import WorkerError

Path("/proc/sys/user/max_net_namespaces").write_text("0")
limits = sandbox.Limits(level="landlock+seccomp", loopback=True, memory=1 << 30)
try:
    sandbox.run([sys.executable, "-c", "print('ran')"], Path(sys.argv[1]), limits)
except WorkerError as error:
    print(error.message, "|", error.hint)
"""


def test_where_no_network_can_be_made_the_way_out_is_told(tmp_path: Path) -> None:
    """The limit is that of a user namespace which only this test's process is in."""
    unshare = shutil.which("unshare")
    inside = [str(unshare), "--user", "--map-root-user"]
    if unshare is None or subprocess.run([*inside, "true"], check=False, capture_output=True).returncode:
        pytest.skip("user namespaces cannot be made here: install util-linux, or allow them")
    if levels.landlock_abi() < 1:
        pytest.skip("this kernel has no landlock")

    done = subprocess.run(
        [*inside, sys.executable, "-c", WITHOUT_NAMESPACES, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "the jail cannot be set up" in done.stdout, done.stderr
    assert "bubblewrap gives one" in done.stdout
