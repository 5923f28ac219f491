"""A memory-mapped file of counters, cells and ratios that all processes of one OS user on this machine share.

The file has a fixed size. Its lock is ``flock``: the kernel releases it when the process that holds it ends
in any way. Numbers written in part can only be wrong by one step, and readers check what they read.

    header    magic, epoch, the machine's boot
    counters  COUNTERS slots of a key (16 bytes), a value (8), 8 unused
    cells     CELLS slots of a key (16 bytes) and CELL_NUMBERS floating-point numbers (8 each)
    ratios    RATIOS slots of a key (16 bytes) and two floating-point numbers: see shared/ratios.py

A key is in one of the PROBES slots from where its hash points. Where all of these are taken, a fallback gives
safe results: the counters share one that each of them increments, which invalidates too much, never too
little; a cell takes over the slot that was idle longest, or shares it, which waits too long, never too short.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
import stat
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from stripe_fdw.errors import OptionError
from stripe_fdw.shared.directory import directories, open_directory, unusable

COUNTERS = 4096
CELLS = 1024
CELL_NUMBERS = 126
RATIOS = 4096
PROBES = 16
IDLE_SECONDS = 60.0  # after which another key may take a cell over

_FILE_NAME = "state-3"  # with the layout's version: two versions never map one file
_MAGIC = int.from_bytes(b"stripfd1", "little")
_HEADER = 8  # words of 8 bytes
_COUNTER_WORDS = 4
_CELL_WORDS = 2 + CELL_NUMBERS
_COUNTERS_OFFSET = _HEADER
_CELLS_OFFSET = _COUNTERS_OFFSET + COUNTERS * _COUNTER_WORDS
RATIOS_OFFSET = _CELLS_OFFSET + CELLS * _CELL_WORDS
RATIO_WORDS = 4
_SIZE = 8 * (RATIOS_OFFSET + RATIOS * RATIO_WORDS)
_EPOCH = 1
_BOOT = 2  # and 3
_LOCK_SECONDS = 0.25  # to wait for a stopped process that holds the lock; an ended one holds none
_RECHECK_SECONDS = 1.0  # until a deleted file is noticed

Key = tuple[int, int]


class Mapping(NamedTuple):
    """The file as it is mapped now. An index means the same word in both views."""

    fd: int
    pid: int
    epoch: int
    words: memoryview[int]
    numbers: memoryview[float]


class SharedMemory:
    """The shared file in the first directory that can be used: created if missing, emptied if invalid.

    Raises OptionError if none of the directories belongs to the OS user alone.
    """

    def __init__(self, *directories: Path) -> None:
        self._directories = directories
        self._thread_lock = threading.Lock()
        self._mapping, self.passed_over = _open(directories)
        """Why the first directory is not used; None if it is."""
        self._recheck_at = time.monotonic() + _RECHECK_SECONDS

    @property
    def directory(self) -> Path:
        """The directory of the file that is mapped now."""
        return self._directories[0 if self.passed_over is None else 1]

    def counter(self, name: bytes) -> Counter:
        """Return the counter of this name. It starts at a random number and only grows."""
        return Counter(self, key_of(name))

    def cell(self, name: bytes) -> Cell:
        """Return the cell of this name, to be used while ``locked``."""
        return Cell(self, key_of(name))

    @contextmanager
    def locked(self) -> Iterator[Mapping]:
        """Exclude all other processes and threads. Hold it for microseconds only."""
        with self._thread_lock:
            mapping = self._current_mapping()
            locked = _lock(mapping.fd)
            try:
                yield mapping
            finally:
                if locked:
                    fcntl.flock(mapping.fd, fcntl.LOCK_UN)

    def mapping(self) -> Mapping:
        """Return the mapping, to read without a lock. Checks once a second whether it is still the file."""
        if time.monotonic() >= self._recheck_at:
            with self._thread_lock:
                self._current_mapping()
        return self._mapping

    def _current_mapping(self) -> Mapping:
        mapping = self._mapping
        is_due = time.monotonic() >= self._recheck_at
        self._recheck_at = time.monotonic() + _RECHECK_SECONDS
        # flock belongs to the file descriptor, so a forked process needs its own. Logging out may delete the
        # files in /dev/shm (systemd's RemoveIPC), and then all processes have to open the new file.
        if mapping.pid != os.getpid() or os.fstat(mapping.fd).st_nlink == 0:
            self._mapping, self.passed_over = _open(self._directories)
        elif is_due and self.passed_over is not None:
            # A process that starts now takes the first directory if that has become usable: so must all.
            with suppress(OptionError):
                self._mapping, self.passed_over = _open(self._directories[:1])
        if self._mapping is not mapping and mapping.pid == os.getpid():
            os.close(mapping.fd)
        return self._mapping


class Counter:
    """A number that all processes share. Reading takes no system call and no lock."""

    __slots__ = ("_epoch", "_index", "_key", "_memory")

    def __init__(self, memory: SharedMemory, key: Key) -> None:
        self._memory = memory
        self._key = key
        self._epoch = 0
        self._index = 0
        self.read()

    def read(self) -> int:
        """Return the number."""
        mapping = self._memory.mapping()
        if mapping.words[_EPOCH] != self._epoch:
            with self._memory.locked() as mapping:
                self._locate(mapping)
        return mapping.words[self._index]

    def add(self, count: int = 1) -> None:
        """Add to the number; all processes see it at once."""
        with self._memory.locked() as mapping:
            if mapping.words[_EPOCH] != self._epoch:
                self._locate(mapping)
            mapping.words[self._index] = (mapping.words[self._index] + count) % 2**64

    def _locate(self, mapping: Mapping) -> None:
        words, (high, low) = mapping.words, self._key
        last = COUNTERS - 1  # shared by the keys whose slots are all taken
        self._index = _COUNTERS_OFFSET + last * _COUNTER_WORDS + 2
        for probe in range(PROBES):
            at = _COUNTERS_OFFSET + (high + probe) % last * _COUNTER_WORDS
            if words[at] == 0 and words[at + 1] == 0:
                # Random, not zero: a value read from a deleted file must not come again.
                words[at + 2] = int.from_bytes(os.urandom(6), "little")
                words[at], words[at + 1] = high, low
            if words[at] == high and words[at + 1] == low:
                self._index = at + 2
                break
        self._epoch = mapping.epoch


class Cell:
    """A row of CELL_NUMBERS numbers. The first is the time of the last use, which the caller sets."""

    __slots__ = ("_at", "_epoch", "_key", "_memory")

    def __init__(self, memory: SharedMemory, key: Key) -> None:
        self._memory = memory
        self._key = key
        self._epoch = 0
        self._at = 0

    def numbers(self, mapping: Mapping, now: float) -> memoryview[float]:
        """Return the numbers, all zero at first. Only while ``locked``; ``now`` is the monotonic clock's."""
        words, (high, low) = mapping.words, self._key
        if mapping.epoch != self._epoch or words[self._at] != high or words[self._at + 1] != low:
            self._at = self._locate(mapping, now)
            self._epoch = mapping.epoch
        return mapping.numbers[self._at + 2 : self._at + _CELL_WORDS]

    def _locate(self, mapping: Mapping, now: float) -> int:
        words, (high, low) = mapping.words, self._key
        slots = [_CELLS_OFFSET + (high + probe) % CELLS * _CELL_WORDS for probe in range(PROBES)]
        for at in slots:
            if words[at] == high and words[at + 1] == low:
                return at
        for at in slots:
            if words[at] == 0 and words[at + 1] == 0:
                words[at], words[at + 1] = high, low
                return at
        oldest = min(slots, key=lambda at: mapping.numbers[at + 2])
        if mapping.numbers[oldest + 2] < now - IDLE_SECONDS:
            for index in range(oldest + 2, oldest + _CELL_WORDS):
                words[index] = 0
            words[oldest], words[oldest + 1] = high, low
        return oldest


def key_of(name: bytes) -> Key:
    """Return the key under which the numbers of a name are stored."""
    digest = hashlib.blake2b(name, digest_size=16).digest()
    high, low = struct.unpack("<QQ", digest)
    return high, low or 1  # both zero would mark a free slot


def _lock(fd: int) -> bool:
    """Take the file's lock. Return False if a stopped process holds it for too long."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
                raise
        else:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.0003)


def _open(directories: tuple[Path, ...]) -> tuple[Mapping, OptionError | None]:
    """Map the file in the first directory that can be used; return it, and why it is not the first one."""
    passed_over: OptionError | None = None
    for directory in directories:
        try:
            return _open_in(directory), passed_over
        except OptionError as error:
            passed_over = passed_over or error
    assert passed_over is not None
    raise passed_over


def _open_in(directory: Path) -> Mapping:
    folder = open_directory(directory)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(_FILE_NAME, flags, 0o600, dir_fd=folder)
    except OSError as error:
        raise unusable(directory, f"{_FILE_NAME} in it cannot be opened: {error.strerror}") from error
    finally:
        os.close(folder)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink > 1:
            raise unusable(directory, f"{_FILE_NAME} in it is not an ordinary file of this user")
        try:
            return _map(fd)
        except OSError as error:
            raise unusable(directory, f"{_FILE_NAME} in it: {error.strerror}") from error
    except BaseException:
        os.close(fd)
        raise


def _map(fd: int) -> Mapping:
    locked = _lock(fd)
    try:
        boot = _boot()
        _allocate(fd)
        mapped = mmap.mmap(fd, _SIZE)
        words = memoryview(mapped).cast("Q")
        if words[0] != _MAGIC or not words[_EPOCH] or (words[_BOOT], words[_BOOT + 1]) != boot:
            _initialise(mapped, words, boot)
        return Mapping(fd, os.getpid(), words[_EPOCH], words, memoryview(mapped).cast("d"))
    finally:
        if locked:
            fcntl.flock(fd, fcntl.LOCK_UN)


def _allocate(fd: int) -> None:
    """Give the file its size, and space for all of it: else a write ends the process on a full file system.

    It never becomes shorter: other processes may have it mapped.
    """
    status = os.fstat(fd)
    if hasattr(os, "posix_fallocate"):
        if status.st_size < _SIZE or status.st_blocks * 512 < _SIZE:
            os.posix_fallocate(fd, 0, _SIZE)
    elif status.st_size < _SIZE:
        os.ftruncate(fd, _SIZE)


def _initialise(mapped: mmap.mmap, words: memoryview[int], boot: tuple[int, int]) -> None:
    """Empty the file in place. Processes that have it mapped notice by the new epoch."""
    words[0] = 0
    mapped[8:_SIZE] = bytes(_SIZE - 8)
    words[_BOOT], words[_BOOT + 1] = boot
    words[_EPOCH] = int.from_bytes(os.urandom(7), "little") + 1
    words[0] = _MAGIC


def _boot() -> tuple[int, int]:
    """Return an identity of this boot of the machine: monotonic times mean nothing in another."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    except OSError:
        boot_id = b""  # not Linux: the rate limiter checks each moment that it reads
    return key_of(boot_id)


_open_memories: dict[tuple[Path, ...], SharedMemory] = {}
_open_lock = threading.Lock()


def shared_memory(directory: Path | None = None) -> SharedMemory:
    """Return this process's mapping of the file, opened once: in ``directory``, or where it is by default."""
    chosen = directories() if directory is None else (directory,)
    with _open_lock:
        if chosen not in _open_memories:
            _open_memories[chosen] = SharedMemory(*chosen)
        return _open_memories[chosen]


_told: set[tuple[Path, ...]] = set()


def newly_passed_over() -> OptionError | None:
    """Return why the first choice of directories is not used, once in this process, else None."""
    for chosen, memory in list(_open_memories.items()):
        if memory.passed_over is not None and chosen not in _told:
            _told.add(chosen)
            return memory.passed_over
    return None
