"""Pickled weights are read once as a pickle, and from then on as safetensors."""

import pytest
import torch
from safetensors.torch import load_file

from submission.errors import InputError
from submission.weights.converted import as_safetensors


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def save(path, value):
    both = torch.full((2, 3), value)
    torch.save({"a": both, "b": both[0]}, path)  # sharing memory, as pickles may


def test_a_copy_holds_the_same_and_is_made_once_for_a_content(tmp_path):
    save(tmp_path / "a.pth", 1.0)
    copy = as_safetensors(tmp_path / "a.pth")
    assert copy.suffix == ".safetensors"
    assert torch.equal(load_file(copy)["a"], torch.ones(2, 3))
    assert torch.equal(load_file(copy)["b"], torch.ones(3))
    before = copy.stat()
    assert as_safetensors(tmp_path / "a.pth").stat() == before
    assert as_safetensors(copy) == copy


def test_another_content_under_the_same_name_has_a_copy_of_its_own(tmp_path):
    save(tmp_path / "a.pth", 1.0)
    first = as_safetensors(tmp_path / "a.pth")
    save(tmp_path / "a.pth", 2.0)
    second = as_safetensors(tmp_path / "a.pth")
    assert first != second
    assert torch.equal(load_file(second)["b"], torch.full((3,), 2.0))


def test_where_no_copy_can_be_kept_the_file_itself_is_read(tmp_path, cache):
    save(tmp_path / "a.pth", 1.0)
    cache.write_text("a file where the cache should be")
    assert as_safetensors(tmp_path / "a.pth") == tmp_path / "a.pth"


def test_a_damaged_file_leaves_no_copy(tmp_path, cache):
    (tmp_path / "a.pth").write_bytes(b"half of a file")
    with pytest.raises(InputError, match="not a whole"):
        as_safetensors(tmp_path / "a.pth")
    assert not list(cache.rglob("*.safetensors"))
