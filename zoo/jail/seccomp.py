"""The seccomp program of the jail, as the bytes that the kernel takes.

A list of refusals, not of permissions: frameworks use most of the harmless calls, and differ in
them from version to version. What is new to the table below does not exist in the jail.
Source of the numbers: Linux 6.18, asm/unistd_64.h (x86-64) and asm-generic/unistd.h (aarch64);
of the program's form: https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import errno
import platform
import struct

_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""AUDIT_ARCH of the machine, and its column in the tables of numbers."""
_NEWEST = 466
"""removexattrat; later numbers are the same on all machines, and x32's begin far above."""

_SOCKET = "socket 41 198"
_REFUSED = """
io_uring_setup 425 425 ; io_uring_enter 426 426 ; io_uring_register 427 427 ;
ptrace 101 117 ; process_vm_readv 310 270 ; process_vm_writev 311 271 ; process_madvise 440 440 ;
kcmp 312 272 ; pidfd_getfd 438 438 ; pidfd_send_signal 424 424 ; perf_event_open 298 241 ; bpf 321 280 ;
userfaultfd 323 282 ; mount 165 40 ; umount2 166 39 ; pivot_root 155 41 ; chroot 161 51 ; unshare 272 97 ;
setns 308 268 ; open_tree 428 428 ; move_mount 429 429 ; fsopen 430 430 ; fsconfig 431 431 ;
fsmount 432 432 ; fspick 433 433 ; mount_setattr 442 442 ; open_by_handle_at 304 265 ; swapon 167 224 ;
swapoff 168 225 ; quotactl 179 60 ; quotactl_fd 443 443 ; init_module 175 105 ; finit_module 313 273 ;
delete_module 176 106 ; kexec_load 246 104 ; kexec_file_load 320 294 ; reboot 169 142 ;
sethostname 170 161 ; setdomainname 171 162 ; settimeofday 164 170 ; clock_settime 227 112 ;
clock_adjtime 305 266 ; adjtimex 159 171 ; acct 163 89 ; syslog 103 116 ; iopl 172 - ; ioperm 173 - ;
modify_ldt 154 - ; vhangup 153 58 ; uselib 134 - ; add_key 248 217 ; request_key 249 218 ;
keyctl 250 219 ; fanotify_init 300 262 ; fanotify_mark 301 263 ; setsid 112 157 ; execveat 322 281 ;
memfd_secret 447 447 ; shmget 29 194 ; msgget 68 186 ; semget 64 190 ; mq_open 240 180 ;
migrate_pages 256 238 ; move_pages 279 239
"""
"""Fail with EPERM: network, tracing, namespaces, mounts, kernel settings, keys, memory shared by name.

Each row of these tables: a call, and its numbers on x86-64 and aarch64.
"""
_PRETENDED = """
chmod 90 - ; fchmod 91 52 ; fchmodat 268 53 ; fchmodat2 452 452 ; chown 92 - ; fchown 93 55 ;
lchown 94 - ; fchownat 260 54 ; setxattr 188 5 ; lsetxattr 189 6 ; fsetxattr 190 7 ; removexattr 197 14 ;
lremovexattr 198 15 ; fremovexattr 199 16 ; setxattrat 463 463 ; removexattrat 466 466 ; utime 132 - ;
utimes 235 - ; futimesat 261 - ; utimensat 280 88
"""
"""Do nothing and report success: landlock cannot bound these, and copying a file calls them."""
_UNKNOWN = """
clone3 435 435 ; memfd_create 319 279
"""
"""Fail with ENOSYS, so that the C library takes the older call, whose arguments a filter can see."""
_SIGNALS = """
kill 62 129 ; tkill 200 130 ; tgkill 234 131 ; rt_sigqueueinfo 129 138 ; rt_tgsigqueueinfo 297 240
"""
"""Refused where landlock (before ABI 6) cannot keep signals inside."""
_BY_ARGUMENT = """
clone 56 220 ; fork 57 - ; vfork 58 - ; ioctl 16 29 ; prctl 157 167 ; prlimit64 302 261 ; truncate 76 45
"""
"""Refused for some arguments only, or where landlock (before ABI 3) does not cover them."""

_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_THREAD = 0x00010000  # CLONE_THREAD
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_PR_SET_PDEATHSIG = 1
_AF_INET, _AF_INET6 = 2, 10

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16


def is_supported() -> bool:
    """Whether there is a table of numbers for this machine."""
    return platform.machine() in _MACHINES


def program(landlock: int, forks: bool, loopback: bool = False) -> bytes:
    """The filter for a jail whose landlock has the given ABI version.

    Pass a high one where namespaces already keep signals and paths inside. Without `forks` there
    can be threads, but no other processes. With `loopback` there are sockets of the internet's families, for
    a jail whose network has a loopback only; none of another family.
    """
    architecture, column = _MACHINES[platform.machine()]
    code = [_op(_LOAD, _ARCHITECTURE), _op(_EQUAL, architecture, 1, 0), _op(_RETURN, _KILL)]
    code += [_op(_LOAD, _NUMBER), _op(_AT_LEAST, _NEWEST + 1, 0, 1), _op(_RETURN, _ERRNO | errno.ENOSYS)]
    refused = _REFUSED if landlock >= 6 else f"{_REFUSED};{_SIGNALS}"
    refused = refused if loopback else f"{_SOCKET};{refused}"
    for names, error in ((refused, errno.EPERM), (_PRETENDED, 0), (_UNKNOWN, errno.ENOSYS)):
        for number in _numbers(names, column).values():
            code += [_op(_EQUAL, number, 0, 1), _op(_RETURN, _ERRNO | error)]
    numbers = _numbers(_BY_ARGUMENT, column)
    code += _by_argument(numbers, landlock) + ([] if forks else _no_forks(numbers))
    code += _internet_only(_numbers(_SOCKET, column)["socket"]) if loopback else []
    return b"".join([*code, _op(_RETURN, _ALLOW)])


def _by_argument(numbers: dict[str, int], landlock: int) -> list[bytes]:
    refuse = _op(_RETURN, _ERRNO | errno.EPERM)
    code = _when(numbers["clone"], 0, [_op(_ANY_BIT, _NEW_NAMESPACES, 0, 1), refuse])
    code += _when(numbers["ioctl"], 1, [_op(_EQUAL, _TIOCSTI, 1, 0), _op(_EQUAL, _TIOCLINUX, 0, 1), refuse])
    code += _when(numbers["prctl"], 0, [_op(_EQUAL, _PR_SET_PDEATHSIG, 0, 1), refuse])
    # Limits of oneself (process 0) only.
    code += _when(numbers["prlimit64"], 0, [_op(_EQUAL, 0, 1, 0), refuse])
    if landlock < 3:
        code += [_op(_EQUAL, numbers["truncate"], 0, 1), refuse]
    return code


def _no_forks(numbers: dict[str, int]) -> list[bytes]:
    refuse = _op(_RETURN, _ERRNO | errno.EPERM)
    code = _when(numbers["clone"], 0, [_op(_ANY_BIT, _THREAD, 1, 0), refuse])
    for name in ("fork", "vfork"):
        code += [_op(_EQUAL, numbers[name], 0, 1), refuse] if name in numbers else []
    return code


def _internet_only(number: int) -> list[bytes]:
    refuse = _op(_RETURN, _ERRNO | errno.EPERM)
    return _when(number, 0, [_op(_EQUAL, _AF_INET, 2, 0), _op(_EQUAL, _AF_INET6, 1, 0), refuse])


def _when(number: int, argument: int, code: list[bytes]) -> list[bytes]:
    """`code` over the low half of an argument of one call, then on with its number loaded again."""
    body = [_op(_LOAD, _ARGUMENTS + 8 * argument), *code, _op(_LOAD, _NUMBER)]
    return [_op(_EQUAL, number, 0, len(body)), *body]


def _op(code: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, when_true, when_false, value)


def _numbers(table: str, column: int) -> dict[str, int]:
    rows = [row.split() for row in table.split(";") if row.strip()]
    return {name: int(numbers[column]) for name, *numbers in rows if numbers[column] != "-"}
