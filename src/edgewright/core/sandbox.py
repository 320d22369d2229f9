"""Shut the running process in before it reads a hostile file: no network, no programs, no files but those named.

Three layers of the Linux kernel, each applied where the kernel has it and reported by name; none needs privileges:

- ``namespaces``: an own user, network and IPC namespace (unshare(2)); no interface is up in it, and root is nobody.
- ``landlock``: files may be read below ``readable`` and written below ``writable``, nowhere else (landlock(7)).
- ``seccomp``: a filter that refuses sockets (which also lie in files, outside of every namespace and of Landlock), new
  programs, new processes, tracing, changed modes and owners, and the newer ways around such refusals (seccomp(2)).
  Refused calls fail with EPERM, so that libraries degrade and go on.

What this cannot do: hide how long things take, stop a process from filling ``writable`` (limits bound each file), or
protect from a bug in the kernel itself. A process that may start programs may also signal others of its user, where
the kernel is older than 6.12.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_THREAD = 0x08000000, 0x10000000, 0x40000000, 0x00010000
_SIGKILL = 9

# landlock(7): numbers are the same on every architecture; rights grew with the ABI's version.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_EXECUTE, _READ_FILE, _READ_DIR, _WRITE_FILE, _TRUNCATE = 1 << 0, 1 << 2, 1 << 3, 1 << 1, 1 << 14
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | 1 << 15
_WRITABLE = _READ_FILE | _READ_DIR | _WRITE_FILE | _TRUNCATE | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 13
_RIGHTS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}

# name -> (x86_64, aarch64); -1: the architecture has no such call.
_REFUSED = {
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "io_uring_setup": (425, 425),
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, -1), "vfork": (58, -1), "kill": (62, 129),
    "tkill": (200, 130), "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "setns": (308, 268), "unshare": (272, 97),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "move_mount": (429, 429),
    "fsopen": (430, 430), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "kexec_load": (246, 104),
    "init_module": (175, 105), "finit_module": (313, 273), "setpriority": (141, 140), "sched_setaffinity": (203, 122),
    "chmod": (90, -1), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, -1),
    "fchown": (93, 55), "lchown": (94, -1), "fchownat": (260, 54), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "utimensat": (280, 88), "utimes": (235, -1), "utime": (132, -1), "futimesat": (261, -1),
}  # fmt: skip
_OF_PROGRAMS = frozenset((
    "execve", "execveat", "fork", "vfork", "kill", "tkill", "pidfd_send_signal", "setpriority", "sched_setaffinity",
    "fchmod",
))  # fmt: skip
"""What a process needs that starts programs, ends them, gives them their places, and writes down what comes of it; the
mode of a file that it may open is its own."""
# architecture -> (AUDIT_ARCH, column above, clone, clone3, tgkill, prlimit64)
_ARCHITECTURES = {"x86_64": (0xC000003E, 0, 56, 435, 234, 302), "aarch64": (0xC00000B7, 1, 220, 435, 131, 261)}


def die_with_parent(parent: int, number: int = _SIGKILL) -> None:
    """Have the kernel send this process the signal ``number`` when the one with process id ``parent`` ends, and end now
    if it has."""
    _libc().prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def confine(readable: Iterable[Path], writable: Iterable[Path], programs: bool = False) -> list[str]:
    """Shut this process in for good; the names of the layers now in force. Call it before any thread is started.

    With ``programs`` it may start those that lie below ``readable``, which are shut in as it is: the seccomp layer
    leaves open what that takes."""
    libc = _libc()
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    layers = []
    # As root without a namespace of its own, the process would keep every privilege.
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC) == 0:
        layers.append("namespaces")
    libc.capset(struct.pack("=Ii", 0x20080522, 0), bytes(24))
    if _landlock(libc, readable, writable, programs):
        layers.append("landlock")
    if _seccomp(libc, programs):
        layers.append("seccomp")
    return layers


def lacking(layers: Iterable[str], programs: bool = False) -> list[str]:
    """What the layers in force leave open, in words; empty where files, network and programs (which may be started with
    ``programs``) are all shut."""
    have = set(layers)
    holes = {
        "files": not have & {"landlock"},
        "the network": not have & {"seccomp"},
        "other programs": not programs and not have & {"seccomp"},
    }
    return [what for what, is_open in holes.items() if is_open]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _landlock(libc: ctypes.CDLL, readable: Iterable[Path], writable: Iterable[Path], programs: bool) -> bool:
    abi = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if abi < 1:
        return False
    handled = (1 << _RIGHTS_OF_ABI.get(abi, 16)) - 1
    # struct landlock_ruleset_attr: files; from ABI 4 TCP bind and connect; from ABI 6 abstract sockets and signals.
    attributes = struct.pack("=QQQ", handled, 3, 3)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        reads = _READ_FILE | _READ_DIR | (_EXECUTE if programs else 0)
        rules = [(path, reads) for path in readable] + [(path, _WRITABLE) for path in writable]
        for path, rights in rules:
            try:
                handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue  # what is not there needs no rule
            try:
                allowed = rights & handled & (-1 if path.is_dir() else _FILE_RIGHTS)
                rule = struct.pack("=Qi", allowed, handle)
                if libc.syscall(_ADD_RULE, ruleset, 1, rule, 0) != 0:
                    return False
            finally:
                os.close(handle)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _seccomp(libc: ctypes.CDLL, programs: bool) -> bool:
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        return False
    program = _filter(machine, os.getpid(), programs)
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions, padding, where they are.
    descriptor = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    return bool(libc.prctl(_PR_SET_SECCOMP, 2, descriptor, 0, 0) == 0)


def _filter(machine: str, process: int, programs: bool) -> bytes:
    """A classic BPF program over ``struct seccomp_data`` (nr at 0, arch at 4, the first argument's low half at 16)."""
    arch, column, clone, clone3, tgkill, prlimit = _ARCHITECTURES[machine]
    load, equal, at_least, has_bits, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    permit, refuse, unknown, end = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38, 0x80000000

    def step(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("=HBBI", code, yes, no, k)

    def only_if(number: int, test: int, first: int) -> list[bytes]:
        """Permit one call where its first argument passes the test, refuse it otherwise."""
        return [
            step(equal, number, 0, 4), step(load, 16), step(test, first, 0, 1), step(answer, permit),
            step(answer, refuse),
        ]  # fmt: skip

    parts = [
        step(load, 4), step(equal, arch, 1, 0), step(answer, end),  # another architecture's call numbers: end it
        step(load, 0), step(at_least, 0x40000000, 0, 1), step(answer, refuse),  # x32's numbers on x86_64
    ]  # fmt: skip
    if not programs:
        parts += [
            step(equal, clone3, 0, 1), step(answer, unknown),  # flags in memory; the C library falls back to clone
            *only_if(clone, has_bits, _CLONE_THREAD),  # threads yes, processes no
            *only_if(tgkill, equal, process),  # abort() signals itself
        ]  # fmt: skip
    parts += only_if(prlimit, equal, 0)  # getrlimit() of the C library
    for name, numbers in _REFUSED.items():
        if numbers[column] >= 0 and not (programs and name in _OF_PROGRAMS):
            parts += [step(equal, numbers[column], 0, 1), step(answer, refuse)]
    return b"".join([*parts, step(answer, permit)])
