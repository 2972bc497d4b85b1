"""Files of others are opened only where they are ordinary, and never read beyond their bound."""

import os
from pathlib import Path

import pytest

from submission.files.ordinary import read_head, read_ordinary


def test_a_file_may_have_as_many_bytes_as_its_bound_and_no_more(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_ordinary(path) == read_ordinary(path, 5) == b"12345"
    with pytest.raises(OSError, match="5 bytes, but what belongs here takes at most 4"):
        read_ordinary(path, 4)
    assert read_head(path, 2) == b"12"
    (tmp_path / "link").symlink_to(path)
    assert read_ordinary(tmp_path / "link", 5) == b"12345"


def test_a_file_that_states_no_size_is_not_read_beyond_its_bound():
    with pytest.raises(OSError, match="takes at most 10"):  # Linux states 0 bytes and gives more
        read_ordinary(Path("/proc/self/status"), 10)


def test_pipes_devices_and_folders_are_named_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name, kind in (("pipe", "a named pipe"), ("zero", "a device"), ("", "a folder")):
        for read in (read_ordinary, lambda path: read_head(path, 1)):
            with pytest.raises(OSError, match=f"not an ordinary file but {kind}|Is a directory"):
                read(tmp_path / name)
