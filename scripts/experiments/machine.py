"""What faults act upon: processes, locks and disks of the machine. Linux, where /proc says who is whose child."""

import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

SLOW_FSYNC = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
static int slowly(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    usleep(50000);
    return real(fd);
}
int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }
"""


def recorder_of(proxy: int) -> int | None:
    """The process id of the recorder that a mitmdump started, None when there is none at the moment."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            command = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == proxy and b"addon.recorder" in command:
            return int(path.parent.name)
    return None


def send(process: int | None, number: int) -> None:
    """A signal to a process of ours, if it is still there."""
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


@contextlib.contextmanager
def stopped(process: int | None) -> Iterator[None]:
    """Hold a process up."""
    send(process, signal.SIGSTOP)
    try:
        yield
    finally:
        send(process, signal.SIGCONT)


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Keep everybody from reading and writing a database."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None, timeout=10)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


@contextlib.contextmanager
def file_size_limited(process: int, size: int) -> Iterator[None]:
    """No file that a process writes to may grow beyond `size`: what a full disk looks like to it."""
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process, resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """A disk of its own at `folder`; False, and none, where this user may not mount one."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    """A disk without a byte of room."""
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


def slow_fsync(folder: Path) -> dict[str, str] | None:
    """The environment in which each fsync takes 50 ms longer, None where nothing can be compiled."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    source, library = folder / "slow_fsync.c", folder / "slow_fsync.so"
    source.write_text(SLOW_FSYNC)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return {"LD_PRELOAD": str(library)}


@contextlib.contextmanager
def surrounded(environment: Mapping[str, str]) -> Iterator[None]:
    """While the block runs, processes are started in this environment too."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
