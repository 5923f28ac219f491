"""Memory that all backends and workers of one OS user on this host share: counters, cells of numbers, facts.

It is one file, mapped, of fixed size. Its lock is ``flock``'s: the kernel releases it when its holder dies,
however it dies. Half-written numbers can only be wrong by one step, and whoever reads them checks them.

    header    magic, epoch, the machine's boot
    counters  COUNTERS slots of a key (16 bytes), a value (8), 8 unused
    cells     CELLS slots of a key (16 bytes) and CELL_NUMBERS floating-point numbers (8 each)
    facts     FACTS slots of a key (16 bytes) and two floating-point numbers: see api/facts.py

A key is found within PROBES slots from where its hash points. A full neighbourhood has a sane answer: its
counters share one that is bumped for all of them (which invalidates too much, never too little), and cells
that were idle longest are taken over, or shared (which waits too long, never too short).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
import stat
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from stripe_fdw import sqlstates
from stripe_fdw.errors import OptionError

COUNTERS = 4096
CELLS = 1024
CELL_NUMBERS = 126
FACTS = 4096
PROBES = 16
IDLE_SECONDS = 60.0  # after which a cell may be taken over by another key

_NAME = "state-2"  # the number is the layout's version: two versions never map one file
_MAGIC = int.from_bytes(b"stripfd1", "little")
_HEADER = 8  # words of 8 bytes
_COUNTER_WORDS = 4
_CELL_WORDS = 2 + CELL_NUMBERS
_COUNTERS_AT = _HEADER
_CELLS_AT = _COUNTERS_AT + COUNTERS * _COUNTER_WORDS
FACTS_AT = _CELLS_AT + CELLS * _CELL_WORDS
FACT_WORDS = 4
_SIZE = 8 * (FACTS_AT + FACTS * FACT_WORDS)
_EPOCH = 1
_BOOT = 2  # and 3
_LOCK_SECONDS = 0.25  # for a holder that was stopped; one that died holds nothing
_RECHECK_SECONDS = 1.0  # how late a deleted file is noticed

Key = tuple[int, int]


def default_directory() -> Path:
    """``$STRIPE_FDW_SHARED_DIRECTORY``, else one of this OS user in /dev/shm, else in the temp directory."""
    named = os.environ.get("STRIPE_FDW_SHARED_DIRECTORY")
    if named:
        return Path(named)
    memory = Path("/dev/shm")  # noqa: S108 - the directory in it is checked before it is used
    parent = memory if memory.is_dir() and os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    return parent / f"stripe-fdw-{os.geteuid()}"


class Mapping(NamedTuple):
    """The file as it is mapped now. Word indexes are the same in both views."""

    fd: int
    pid: int
    epoch: int
    words: memoryview[int]
    numbers: memoryview[float]


class SharedMemory:
    """The shared file in a directory; made, or made anew if it is not sound.

    Raises OptionError if the directory is not the OS user's own.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory or default_directory()
        self._thread_lock = threading.Lock()
        self._mapping = _open(self._directory)
        self._recheck_at = time.monotonic() + _RECHECK_SECONDS

    def counter(self, name: bytes) -> Counter:
        """The counter of this name; it starts at some number and only ever grows."""
        return Counter(self, key_of(name))

    def cell(self, name: bytes) -> Cell:
        """The cell of this name, to be used while ``locked``."""
        return Cell(self, key_of(name))

    @contextmanager
    def locked(self) -> Iterator[Mapping]:
        """Keep out all other processes and threads; for microseconds only."""
        with self._thread_lock:
            mapping = self._live()
            held = _lock(mapping.fd)
            try:
                yield mapping
            finally:
                if held:
                    fcntl.flock(mapping.fd, fcntl.LOCK_UN)

    def mapping(self) -> Mapping:
        """The mapping for reading without a lock; looks once a second whether the file was deleted."""
        if time.monotonic() >= self._recheck_at:
            with self._thread_lock:
                self._live()
        return self._mapping

    def _live(self) -> Mapping:
        mapping = self._mapping
        self._recheck_at = time.monotonic() + _RECHECK_SECONDS
        # A lock is its descriptor's: a forked process needs its own. Logging out may delete what lies in
        # /dev/shm (systemd's RemoveIPC), and then all must meet again in a new file.
        if mapping.pid != os.getpid() or os.fstat(mapping.fd).st_nlink == 0:
            self._mapping = _open(self._directory)
            if mapping.pid == os.getpid():
                os.close(mapping.fd)
        return self._mapping


class Counter:
    """A number that all processes see. Reading takes no system call and no lock."""

    __slots__ = ("_epoch", "_index", "_key", "_memory")

    def __init__(self, memory: SharedMemory, key: Key) -> None:
        self._memory = memory
        self._key = key
        self._epoch = 0
        self._index = 0
        self.read()

    def read(self) -> int:
        """The number now."""
        mapping = self._memory.mapping()
        if mapping.words[_EPOCH] != self._epoch:
            with self._memory.locked() as mapping:
                self._locate(mapping)
        return mapping.words[self._index]

    def add(self, count: int = 1) -> None:
        """Add to it, for all to see at once."""
        with self._memory.locked() as mapping:
            if mapping.words[_EPOCH] != self._epoch:
                self._locate(mapping)
            mapping.words[self._index] = (mapping.words[self._index] + count) % 2**64

    def _locate(self, mapping: Mapping) -> None:
        words, (high, low) = mapping.words, self._key
        last = COUNTERS - 1  # the one that is shared where a neighbourhood is full
        self._index = _COUNTERS_AT + last * _COUNTER_WORDS + 2
        for probe in range(PROBES):
            at = _COUNTERS_AT + (high + probe) % last * _COUNTER_WORDS
            if words[at] == 0 and words[at + 1] == 0:
                # Not from zero: whoever remembers a value of a file that is gone must not meet it again.
                words[at + 2] = int.from_bytes(os.urandom(6), "little")
                words[at], words[at + 1] = high, low
            if words[at] == high and words[at + 1] == low:
                self._index = at + 2
                break
        self._epoch = mapping.epoch


class Cell:
    """A row of CELL_NUMBERS numbers. The first one is the moment of its last use, which its user sets."""

    __slots__ = ("_at", "_epoch", "_key", "_memory")

    def __init__(self, memory: SharedMemory, key: Key) -> None:
        self._memory = memory
        self._key = key
        self._epoch = 0
        self._at = 0

    def numbers(self, mapping: Mapping, now: float) -> memoryview[float]:
        """The numbers, all zero at first. Only while ``locked``; ``now`` is the monotonic clock's."""
        words, (high, low) = mapping.words, self._key
        if mapping.epoch != self._epoch or words[self._at] != high or words[self._at + 1] != low:
            self._at = self._locate(mapping, now)
            self._epoch = mapping.epoch
        return mapping.numbers[self._at + 2 : self._at + _CELL_WORDS]

    def _locate(self, mapping: Mapping, now: float) -> int:
        words, (high, low) = mapping.words, self._key
        near = [_CELLS_AT + (high + probe) % CELLS * _CELL_WORDS for probe in range(PROBES)]
        for at in near:
            if words[at] == high and words[at + 1] == low:
                return at
        for at in near:
            if words[at] == 0 and words[at + 1] == 0:
                words[at], words[at + 1] = high, low
                return at
        oldest = min(near, key=lambda at: mapping.numbers[at + 2])
        if mapping.numbers[oldest + 2] < now - IDLE_SECONDS:
            for index in range(oldest + 2, oldest + _CELL_WORDS):
                words[index] = 0
            words[oldest], words[oldest + 1] = high, low
        return oldest


def key_of(name: bytes) -> Key:
    """The key under which a name's numbers are found."""
    digest = hashlib.blake2b(name, digest_size=16).digest()
    high, low = struct.unpack("<QQ", digest)
    return high, low or 1  # never both zero, which marks a free slot


def _lock(fd: int) -> bool:
    """Take the file's lock; False if its holder was stopped and does not give it back."""
    ends = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
                raise
        else:
            return True
        if time.monotonic() >= ends:
            return False
        time.sleep(0.0003)


def _open(directory: Path) -> Mapping:
    folder = _open_directory(directory)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(_NAME, flags, 0o600, dir_fd=folder)
    except OSError as error:
        raise _unusable(directory, f"{_NAME} in it cannot be opened: {error.strerror}") from error
    finally:
        os.close(folder)
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_nlink > 1:
            raise _unusable(directory, f"{_NAME} in it is not an ordinary file of this user")
        return _map(fd)
    except BaseException:
        os.close(fd)
        raise


def _open_directory(directory: Path) -> int:
    """The directory, surely this user's own: no link put there by another leads elsewhere."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _unusable(directory, error.strerror or type(error).__name__) from error
    facts = os.fstat(fd)
    if facts.st_uid == os.geteuid() and stat.S_IMODE(facts.st_mode) & 0o077 == 0:
        return fd
    os.close(fd)
    if facts.st_uid != os.geteuid():
        raise _unusable(directory, "it belongs to another user")
    raise _unusable(directory, "others can open it: its mode must be 0700")


def _unusable(directory: Path, why: str) -> OptionError:
    return OptionError(
        f'the shared directory "{directory}" cannot be used: {why}',
        hint="Name another one in STRIPE_FDW_SHARED_DIRECTORY, the same for all processes.",
        sqlstate=sqlstates.IO_ERROR,
    )


def _map(fd: int) -> Mapping:
    held = _lock(fd)
    try:
        boot = _boot()
        if os.fstat(fd).st_size < _SIZE:
            os.ftruncate(fd, _SIZE)  # never shorter: others may have it mapped
        mapped = mmap.mmap(fd, _SIZE)
        words = memoryview(mapped).cast("Q")
        if words[0] != _MAGIC or not words[_EPOCH] or (words[_BOOT], words[_BOOT + 1]) != boot:
            _initialise(mapped, words, boot)
        return Mapping(fd, os.getpid(), words[_EPOCH], words, memoryview(mapped).cast("d"))
    finally:
        if held:
            fcntl.flock(fd, fcntl.LOCK_UN)


def _initialise(mapped: mmap.mmap, words: memoryview[int], boot: tuple[int, int]) -> None:
    """Empty it, in place: whoever has it mapped learns of it by the epoch."""
    words[0] = 0
    mapped[8:_SIZE] = bytes(_SIZE - 8)
    words[_BOOT], words[_BOOT + 1] = boot
    words[_EPOCH] = int.from_bytes(os.urandom(7), "little") + 1
    words[0] = _MAGIC


def _boot() -> tuple[int, int]:
    """Tells this run of the machine from others: its monotonic clock is meaningless in another."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    except OSError:
        text = b""  # not Linux: limits.py checks each moment it reads
    return key_of(text)


_opened: dict[Path, SharedMemory] = {}
_opening = threading.Lock()


def shared_memory(directory: Path | None = None) -> SharedMemory:
    """The one mapping of the directory's file that a process needs."""
    directory = directory or default_directory()
    with _opening:
        if directory not in _opened:
            _opened[directory] = SharedMemory(directory)
        return _opened[directory]
