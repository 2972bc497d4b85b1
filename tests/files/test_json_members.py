"""A large object is read member by member, as the whole reader reads it, and no more is held."""

import json
import tracemalloc

import pytest

from submission.errors import InputError
from submission.files import json_members
from submission.files.json_members import read_members

VALUES = {
    "7": [{"size": [2, 3], "counts": "a]}{[\\"}, None, {}],
    "wörds\n": ["é\U0001f600", '"'],
    "8": [],
    "12": 3.5,
    "13": {"deep": [[1, {"x": True}]]},
    "last": None,
}


@pytest.mark.parametrize("chunk", [1, 3, 16, 1 << 20])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("value", [VALUES, {}])
def test_members_and_their_places_are_those_of_the_file(
    tmp_path, monkeypatch, chunk, mark, indent, value
):
    monkeypatch.setattr(json_members, "CHUNK", chunk)
    path = tmp_path / "large.json"
    path.write_bytes(mark + json.dumps(value, indent=indent, ensure_ascii=False).encode() + b"\n ")
    found = list(read_members(path))
    assert {key: item for key, item, _ in found} == value
    assert all(place.read(path) == item for _, item, place in found)


@pytest.mark.parametrize(
    "content",
    [
        "", "[1]", "3", '{"a": 1', '{"a": 1,}', '{"a" 1}', '{"a": 1} 2', "{1: 2}", '{"a": tru}',
        '{"a": [}', b'{"a": "\xff"}', "version https://git-lfs",
    ],
)  # fmt: skip
def test_a_broken_file_is_told_as_the_whole_reader_tells_it(tmp_path, content):
    path = tmp_path / "broken.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as expected:
        json_members.read_object(path)
    with pytest.raises(InputError) as told:
        list(read_members(path))
    assert str(told.value) == str(expected.value)


def test_a_place_in_a_file_that_has_changed_is_refused(tmp_path):
    path = tmp_path / "large.json"
    path.write_text('{"a": [1, 2, 3]}')
    ((_, _, place),) = read_members(path)
    path.write_text('{"a": [')
    with pytest.raises(InputError, match="has changed while it was in use"):
        place.read(path)


def test_memory_holds_one_member_and_not_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(json_members, "CHUNK", 1 << 14)
    path = tmp_path / "large.json"
    path.write_text(json.dumps({str(number): ["x" * 1000] * 20 for number in range(200)}))
    assert path.stat().st_size > 4_000_000
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_members(path)) == 200
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 400_000
