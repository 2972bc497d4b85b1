"""The verbs `weights lock`, `fetch`, `verify` and `list`: what each does and prints."""

import threading
from collections.abc import Sequence

from submission.counted import counted
from submission.errors import Fault, FaultyResult, InputError, list_faults
from submission.terminal.progress import Reporter
from submission.terminal.tables import Draw, in_columns
from submission.weights.by_hand import take_from_copy
from submission.weights.expected import compare
from submission.weights.fetch import CONNECTIONS, fetch
from submission.weights.folders import Weights
from submission.weights.hub import Hub
from submission.weights.listing import table
from submission.weights.lock import LockedCheckpoint
from submission.weights.lock_file import write_lock
from submission.weights.resolve import changes, resolve
from submission.weights.sizes import in_words
from submission.weights.verify import bytes_to_read, differences


class ByteCount:
    """Adds up the bytes that several threads have read, and reports them."""

    def __init__(self, reporter: Reporter, total: int) -> None:
        self._reporter = reporter
        self._total = total
        self._read = 0
        self._counting = threading.Lock()

    def __call__(self, count: int) -> None:
        with self._counting:
            self._read += count
            facts = f"{in_words(self._read)} of {in_words(self._total)}"
            self._reporter.advance(count, facts)


def lock_weights(names: Sequence[str], weights: Weights, update: bool) -> None:
    """Pin what is unresolved, print the difference and write the lock."""
    lock = weights.lock
    items = list(dict.fromkeys(lock.take(name) for name in names))
    hub = None if all(item.is_by_hand for item in items) else Hub()
    for old in items:
        if hub is None or old.is_by_hand:
            new, origin = take_from_copy(old, weights), str(weights.place(old))
        else:
            new = resolve(old, hub, update=update)
            origin = f"{new.repo}@{new.revision}"
        lines = changes(old, new)
        print(f"{new.name}  {origin}: {'' if lines else 'nothing to change'}".rstrip())
        print("".join(f"  {line}\n" for line in (*lines, *compare(new))), end="")
        lock = lock.replacing(new)
        if lines:
            write_lock(lock)  # after each: what was found out stays when the next one fails
    print(f"lock  {lock.path}")


def fetch_weights(
    names: Sequence[str], weights: Weights, reporter: Reporter, connections: int = CONNECTIONS
) -> None:
    """Fetch the named checkpoints and print where they lie."""
    if connections < 1:
        raise InputError(f"--connections is {connections}; it must be at least 1")
    fetch(names, weights, reporter, connections=connections)
    for item in dict.fromkeys(weights.lock.take(name) for name in names):
        print(f"{_facts(item)} verified: {weights.place(item)}")


def verify_weights(names: Sequence[str], weights: Weights, reporter: Reporter) -> None:
    """Hash the named checkpoints, or all that are there, and compare them with the lock.

    Raises FaultyResult with everything that differs or that the lock leaves unresolved.
    """
    items = list(dict.fromkeys(weights.lock.take(name) for name in names)) or [
        item for item in weights.lock.checkpoints if weights.place(item).is_dir()
    ]
    if not items:
        print(f"{weights.folder} holds no checkpoint that {weights.lock.path.name} names.")
        return
    total = sum(bytes_to_read(item, weights.place(item)) for item in items)
    reporter.plan(total)
    count = ByteCount(reporter, total)
    faults: list[Fault] = []
    for item in items:
        reporter.stage(f"verify {item.name}")
        found = item.unresolved() + differences(
            item,
            weights.place(item),
            again=True,
            beside=not weights.is_cached(item),
            on_bytes=count,
        )
        faults += found
        if not found:
            print(f"{_facts(item)} as in {weights.lock.path.name}: {weights.place(item)}")
    if faults:
        names = list(dict.fromkeys(fault.where.partition("/")[0] for fault in faults))
        loose = [name for name in names if not weights.lock.take(name).is_pinned]
        first = f"first {weights.command('lock', *loose)}, then " if loose else ""
        raise FaultyResult(
            list_faults(
                "This is not what the lock says:",
                faults,
                f"To replace what differs, run: {first}{weights.command('fetch', *names)}",
            )
        )


def list_weights(weights: Weights, reporter: Reporter, draw: Draw = in_columns) -> None:
    """Print what the lock names, and what of it is there."""
    reporter.result("\n".join(table(weights, draw)))


def _facts(item: LockedCheckpoint) -> str:
    return f"{item.name}  {counted(len(item.files), 'file')}, {in_words(item.bytes)},"
