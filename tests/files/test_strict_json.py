"""JSON that only damage or malice writes is a sentence with the file's name."""

import pytest

from submission.errors import InputError
from submission.files.strict_json import parse_json, read_object


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b"9" * 5_000, "a number of thousands of digits"),
        (b'{\n "a": }', "broken JSON at line 2, column 7"),
        (b'{\n"a": "\xff"}', "not UTF-8 text at line 2"),
    ],
)
def test_what_is_no_data_file_is_named(content, words):
    with pytest.raises(InputError, match=rf"^a\.json: .*{words}"):
        parse_json(content, "a.json")


def test_an_object_is_asked_for_within_a_bound(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert read_object(path, most=8) == {"a": 1}
    with pytest.raises(InputError, match="8 bytes, but what belongs here takes at most 7"):
        read_object(path, most=7)
    path.write_text("[1]")
    with pytest.raises(InputError, match="it holds a list; it must be a JSON object"):
        read_object(path)
