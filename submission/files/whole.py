"""Write files whole or not at all: a reader never sees half a file, also after `kill -9`."""

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

# What shared and mounted folders answer to chmod or fsync when they know no such thing.
_NOT_KNOWN = {errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.ENOTTY}

PARTIAL_SUFFIX = ".partial"  # what an interrupted write leaves behind ends like this


def _file_mode() -> int:
    # mkstemp makes files private (0600); results should be as readable as any other file.
    # Asked once, at import: the umask can only be read by setting it, which is not thread-safe.
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


_FILE_MODE = _file_mode()


@contextmanager
def open_whole(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Open `path` for writing; it gets its name only when the block ends without an error.

    `durable` also waits until the bytes are on disk, so that the file survives a power cut;
    leave it off for thousands of small files that can be made again. On a share that knows no
    fsync or chmod the file is written without. An OSError names `path`.
    """
    partial = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=PARTIAL_SUFFIX, dir=path.parent
        )
        with os.fdopen(handle, "wb") as file:
            yield file
            if durable:
                reach_disk(file)
        with _where_known():
            os.chmod(partial, _FILE_MODE)
        os.replace(partial, path)
    except BaseException as error:
        if partial:
            Path(partial).unlink(missing_ok=True)
        if isinstance(error, OSError) and _is_ours(error):
            error.filename, error.filename2 = str(path), None
        raise


def reach_disk(file: BinaryIO) -> None:
    """Wait until what was written is on disk, on a share that knows how to wait for it."""
    file.flush()
    with _where_known():
        os.fsync(file.fileno())


@contextmanager
def _where_known() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_KNOWN:
            raise


def _is_ours(error: OSError) -> bool:
    """Tell an error of the file that is written from one of whatever its content is read from."""
    if error.errno is None:
        return False  # its own words are all that it has
    return error.filename is None or str(error.filename).endswith(PARTIAL_SUFFIX)


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write `content` to `path`, whole or not at all."""
    with open_whole(path, durable=durable) as file:
        file.write(content)


def write_json(path: Path, value: Any, *, indent: int | None = 1) -> None:
    """Write `value` as JSON with a final newline; keys keep their order, so bytes are stable.

    Text that is no Unicode, such as the name of a folder in another encoding, is kept as escapes.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    write_bytes(path, f"{text}\n".encode(errors="backslashreplace"))
