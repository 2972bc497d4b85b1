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
        (b'{"a" 1}', r"line 1, column 6: a colon belongs here, .*; mend it there"),
        (b'{"a": 1 "b": 2}', r"column 9: a comma belongs here, .*; mend it there"),
        (b'{"a": 1,}', r"(a key in double quotes|a comma too many).*; mend it there"),
        (b"{a: 1}", r"column 2: a key in double quotes belongs here .*; mend it there"),
        (b'{"a": 1} {}', r"column 10: more follows here, .*; mend it there"),
        (b'{"a": "1\n"}', r"column 9: a line break .*; mend it there"),
        (rb'{"a": "C:\data"}', r"column 10: a backslash .*; mend it there"),
    ],
)
def test_what_is_no_data_file_is_named(content, words):
    with pytest.raises(InputError, match=rf"^a\.json: .*{words}"):
        parse_json(content, "a.json")


def test_a_file_that_broke_off_is_known_wherever_it_ends():
    whole = b'{"a": [1.5, -2, true],\n "b": {"c": null, "d": "w\xc3\xb6rds \\u00e9"}}'
    for end in range(1, len(whole)):
        for tail in (b"", b"\n", b"\0" * 9):  # nothing, or what a file system puts in its place
            with pytest.raises(InputError) as told:
                parse_json(whole[:end] + tail, "a.json")
            is_half_letter = whole[:end].endswith(b"\xc3") and tail
            words = "not UTF-8 text" if is_half_letter else "cut off; copy or make it again"
            assert words in str(told.value), (whole[:end], tail)


def test_an_object_is_asked_for_within_a_bound(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert read_object(path, most=8) == {"a": 1}
    with pytest.raises(InputError, match="8 bytes, but what belongs here takes at most 7"):
        read_object(path, most=7)
    path.write_text("[1]")
    with pytest.raises(InputError, match="it holds a list; it must be a JSON object"):
        read_object(path)
