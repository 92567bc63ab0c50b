"""Lock this process up, then become the command: ``python -I -S launch.py SPEC COMMAND…``.

A file that is run, not imported. What must happen between fork and exec happens here, in a fresh
process without threads, and only with the standard library's quickest modules. SPEC is a
text of lines ``word rest``: see `zoo.sandbox`. Anything that fails ends the process with 97 before
the command runs.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys

FAILED = 97
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 24, 38, 22
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_SECCOMP_MODE_FILTER = 2
_SIGKILL = 9
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_AF_INET, _SOCK_DGRAM, _SIOCSIFFLAGS, _IFF_UP = 2, 2, 0x8914, 1

# linux/landlock.h
_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_DEVICES, _REFER, _TRUNCATE, _DEVICE_IOCTL = 1 << 6 | 1 << 11, 1 << 13, 1 << 14, 1 << 15
_FIRST_ABI = (1 << 13) - 1
_FILE_ONLY = _EXECUTE | _WRITE | _READ | _TRUNCATE | _DEVICE_IOCTL

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def main() -> None:
    """Apply the specification line by line and execute the command in this process's place."""
    jail = Jail()
    for line in sys.argv[1].split("\n"):
        word, _, rest = line.partition(" ")
        getattr(jail, f"do_{word}")(rest)
    os.execve(sys.argv[2], sys.argv[2:], os.environ)


class Jail:
    """One method for each word of the specification, in the order in which they must come."""

    def __init__(self) -> None:
        self.abi = 0
        self.handled = 0
        self.ruleset = -1
        self.capable = False

    def do_die_with(self, parent: str) -> None:
        prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        if os.getppid() != int(parent):
            raise OSError("the parent has ended")

    def do_limit(self, rest: str) -> None:
        name, value = rest.split()
        which, wanted = getattr(resource, name), int(value)
        hard = resource.getrlimit(which)[1]
        wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(which, (wanted, wanted))

    def do_loopback(self, rest: str) -> None:
        """A network of its own in which there is a loopback and nothing else; then `do_powerless`.

        Who may not make one makes a user namespace first, in which it keeps its numbers.
        """
        user, group = os.geteuid(), os.getegid()
        if _libc.unshare(_CLONE_NEWNET) != 0:
            checked("a network of its own", _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET))
            for name, text in (
                ("setgroups", "deny"),
                ("uid_map", f"{user} {user} 1"),
                ("gid_map", f"{group} {group} 1"),
            ):
                with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - pathlib is slow to import
                    file.write(text)
        self.capable = True
        channel = checked("socket", _libc.socket(_AF_INET, _SOCK_DGRAM, 0))
        request = ctypes.create_string_buffer(
            b"lo".ljust(16, b"\0") + (_IFF_UP).to_bytes(2, sys.byteorder), 40
        )
        checked("loopback", _libc.ioctl(channel, _SIOCSIFFLAGS, request))
        os.close(channel)

    def do_powerless(self, rest: str) -> None:
        """Give up all capabilities for good, which matters where zoo is run by root."""
        prctl(_PR_SET_NO_NEW_PRIVS, 1)
        if os.geteuid() == 0 or self.capable:
            for capability in range(64):
                if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
                    break
            header = (ctypes.c_uint32 * 2)(0x20080522, 0)
            checked("capset", _libc.capset(header, (ctypes.c_uint32 * 6)()))

    def do_landlock(self, rest: str) -> None:
        abi, *own_network = rest.split()
        self.abi = int(abi)
        self.handled = _FIRST_ABI
        self.handled |= (_REFER if self.abi >= 2 else 0) | (_TRUNCATE if self.abi >= 3 else 0)
        self.handled |= _DEVICE_IOCTL if self.abi >= 5 else 0
        # Then: TCP bind and connect, abstract sockets and signals, none of which is allowed anything;
        # but for TCP in a network of its own.
        words = [self.handled, 0 if own_network else 3, 3][: 1 + (self.abi >= 4) + (self.abi >= 6)]
        attributes = (ctypes.c_uint64 * len(words))(*words)
        size = ctypes.sizeof(attributes)
        self.ruleset = checked(
            "landlock", _libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(size), 0)
        )

    def do_list(self, path: str) -> None:
        self._allow(path, _LIST)

    def do_read(self, path: str) -> None:
        self._allow(path, _READ | _LIST)

    def do_execute(self, path: str) -> None:
        self._allow(path, _READ | _EXECUTE)

    def do_device(self, path: str) -> None:
        self._allow(path, _READ | _WRITE)

    def do_write(self, path: str) -> None:
        self._allow(path, self.handled & ~(_EXECUTE | _MAKE_DEVICES | _DEVICE_IOCTL))

    def _allow(self, path: str, access: int) -> None:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        if not os.path.isdir(path):  # noqa: PTH112 - pathlib would cost a third of this process's time
            access &= _FILE_ONLY
        rule = (ctypes.c_uint32 * 3).from_buffer_copy(
            (access & self.handled).to_bytes(8, "little") + place.to_bytes(4, "little")
        )
        checked(path, _libc.syscall(_LANDLOCK_ADD, self.ruleset, 1, rule, 0))
        os.close(place)

    def do_restrict(self, rest: str) -> None:
        checked("landlock", _libc.syscall(_LANDLOCK_RESTRICT, self.ruleset, 0))
        os.close(self.ruleset)

    def do_seccomp(self, program: str) -> None:
        code = bytes.fromhex(program)
        text = ctypes.create_string_buffer(code, len(code))

        class Program(ctypes.Structure):
            _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

        filled = Program(len(code) // 8, ctypes.addressof(text))
        prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(filled))


def prctl(option: int, value: int, more: int = 0) -> None:
    """prctl(2); raises OSError."""
    unsigned = ctypes.c_ulong
    checked("prctl", _libc.prctl(option, unsigned(value), unsigned(more), unsigned(0), unsigned(0)))


def checked(what: str, result: int) -> int:
    """The result of a call of the C library; raises OSError for -1."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.stderr.write(f"zoo: the jail cannot be set up: {error}\n")
        sys.exit(FAILED)
