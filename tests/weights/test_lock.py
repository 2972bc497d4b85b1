"""weights.lock: read strictly, written readably, and what the one that comes along says."""

from pathlib import Path

import pytest
from weights.conftest import NAME, pinned

from submission.errors import FaultyInput, InputError
from submission.weights.lock import (
    EMPTY_SHA256,
    Lock,
    LockedCheckpoint,
    LockedFile,
    is_needed,
)
from submission.weights.lock_file import default_lock, format_lock, read_lock, write_lock

ROOT = Path(__file__).parents[2]
HEX = "ab" * 32


def write(file: Path, /, **changed: str) -> Path:
    """A lock of one file as text, with some values changed."""
    values = {
        "version": "1", "name": '"A"', "repo": '"Lab/A"', "revision": f'"{HEX[:40]}"',
        "license": '"mit"', "path": '"a.json"', "bytes": "3", "sha256": f'"{HEX}"',
    } | changed  # fmt: skip
    lines = [f"version = {values.pop('version')}", "[[checkpoint]]"]
    lines += [f"{key} = {values.pop(key)}" for key in ("name", "repo", "revision", "license")]
    lines += ["[[checkpoint.file]]", *(f"{key} = {value}" for key, value in values.items())]
    file.write_text("\n".join(lines))
    return file


def test_what_is_written_is_read_again_and_looks_the_same(tmp_path):
    odd = LockedCheckpoint("B", "Lab/B", "", 'a "quoted" name \\ é', ())
    lock = Lock(tmp_path / "a.lock", (pinned(), odd))
    write_lock(lock)
    again = read_lock(lock.path)
    assert again == lock
    assert format_lock(again) == lock.path.read_text()


def test_a_link_to_the_lock_stays_a_link(tmp_path):
    (tmp_path / "link.lock").symlink_to("real.lock")
    write_lock(Lock(tmp_path / "link.lock", (pinned(),)))
    assert (tmp_path / "link.lock").is_symlink()
    assert read_lock(tmp_path / "real.lock").find(NAME) == pinned()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"version": "2"}, "version is 2; this kit reads 1"),
        ({"name": '"../A"'}, "name: .* path separator"),
        ({"name": '".A"'}, "name: .* begins with a dot"),
        ({"repo": '"https://x/A"'}, "must be OWNER/NAME"),
        ({"revision": '"main"'}, "must be 40 hexadecimal digits"),
        ({"path": '"../a.json"'}, "path: the name '..' means a folder"),
        ({"path": '"/etc/passwd"'}, "path: .* is absolute"),
        ({"path": '"a\\\\b"'}, "path: .* path separator"),
        ({"path": '".sha256.json"'}, "path: .* begins with a dot"),
        ({"bytes": "-1"}, "a size cannot be negative"),
        ({"bytes": '"3"'}, "bytes is '3'; it must be a whole number"),
        ({"sha256": '"abc"'}, "must be 64 hexadecimal digits"),
        ({"sha256": "1"}, "sha256 is 1; it must be a text"),
        ({"size": "1"}, "unknown key size"),
    ],
)
def test_a_lock_edited_by_hand_is_checked(tmp_path, changed, words):
    with pytest.raises(FaultyInput, match=words):
        read_lock(write(tmp_path / "a.lock", **changed))


def test_the_lock_that_these_faults_were_made_in_is_right(tmp_path):
    assert read_lock(write(tmp_path / "a.lock")).take("A").is_pinned


def test_all_faults_come_at_once(tmp_path):
    with pytest.raises(FaultyInput) as caught:
        read_lock(write(tmp_path / "a.lock", repo='"x"', bytes="-1", version='"1"'))
    assert len(caught.value.faults) == 3


def test_names_and_paths_are_there_once(tmp_path):
    path = write(tmp_path / "a.lock")
    text = path.read_text()
    table = text.partition("[[checkpoint]]")[2]
    file = text.partition("[[checkpoint.file]]")[2]
    path.write_text(f"{text}\n[[checkpoint.file]]{file}\n[[checkpoint]]{table}")
    with pytest.raises(FaultyInput) as caught:
        read_lock(path)
    assert [fault.what.partition(";")[0] for fault in caught.value.faults] == [
        "the name is taken", "the path is listed twice",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version = ", "not valid TOML"),
        ('version = 1\ncheckpoint = "A"', "checkpoint must be a list of tables"),
        ("", "version is missing"),
        ("version = " + "[" * 20_000, "nested too deeply"),
        ("version = " + "9" * 5_000, "not valid TOML"),
        ("version = 1\n[[checkpoint]]\nname = []\n[[checkpoint.file]]\npath = []", "name is"),
    ],
)
def test_a_file_that_is_no_lock(tmp_path, text, words):
    (tmp_path / "a.lock").write_text(text)
    with pytest.raises(InputError, match=words):
        read_lock(tmp_path / "a.lock")


def test_what_would_be_refused_is_never_written(tmp_path):
    lock = Lock(tmp_path / "a.lock", (pinned(),))
    write_lock(lock)
    odd = LockedCheckpoint(NAME, "Lab/A", "", "mit", (LockedFile("a.json", -5, "zz"),))
    with pytest.raises(FaultyInput) as caught:
        write_lock(lock.replacing(odd))
    assert len(caught.value.faults) == 2
    assert read_lock(lock.path) == lock


def test_a_lock_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no such file; --lock FILE"):
        read_lock(tmp_path / "a.lock")


def test_an_empty_file_is_pinned_by_its_hash_alone():
    assert LockedFile("a.txt", 0, EMPTY_SHA256).is_pinned
    assert not LockedFile("a.txt", 0, HEX).is_pinned
    assert not LockedFile("a.txt", 3, "").is_pinned


def test_code_pictures_and_pickles_are_not_needed():
    listed = [
        "config.json", "vocab.txt", "tokenizer.model", "model.safetensors", "modeling.py",
        "assets/a.json", "picture.png", ".gitattributes", "README.md", "pytorch_model.bin",
    ]  # fmt: skip
    assert [path for path in listed if is_needed("Lab/A", path)] == listed[:4]
    sam2 = "facebook/sam2-hiera-large"
    assert is_needed(sam2, "sam2_hiera_large.pt")
    assert not is_needed(sam2, "model.safetensors")


# --- the one that comes along --------------------------------------------------------------------
def test_the_lock_at_the_top_level_is_that_of_the_package():
    assert (ROOT / "weights.lock").resolve() == default_lock() == default_lock().resolve()
    assert default_lock().is_relative_to(ROOT / "submission")


def test_the_lock_names_every_released_checkpoint_and_is_in_its_written_form():
    lock = read_lock(default_lock())
    sizes = [*(f"Sa2VA-{size}" for size in ("1B", "4B", "8B", "26B")),
             *(f"Sa2VA-InternVL3-{size}" for size in ("2B", "8B", "14B")),
             *(f"Sa2VA-Qwen{size}" for size in ("2_5-VL-3B", "2_5-VL-7B", "3-VL-2B", "3-VL-4B")),
             *(f"Sa2VA-i-{size}" for size in ("1B", "4B", "8B", "26B")),
             *(f"SaSaSa2VA-{size}" for size in ("4B", "14B", "26B"))]  # fmt: skip
    by_hand = ["cutie-base-mega", "cutie-small-mega",
               *(f"UNINEXT-{backbone}" for backbone in ("R50", "ConvNeXt-L", "ViT-H"))]  # fmt: skip
    judges = [f"Qwen{size}" for size in ("3-VL-2B", "3-VL-4B", "3-VL-8B", "2_5-VL-3B", "2_5-VL-7B")]
    parts = ["SAM2-hiera-large", "bert-base-uncased"]
    assert [item.name for item in lock.checkpoints] == [*sizes, *judges, *parts, *by_hand]
    assert [item.name for item in lock.checkpoints if item.is_by_hand] == by_hand
    assert format_lock(lock) == default_lock().read_text()


def test_every_file_of_the_hub_in_the_lock_is_one_that_the_loader_reads():
    for item in read_lock(default_lock()).checkpoints:
        if not item.is_by_hand:
            assert [file.path for file in item.files if not is_needed(item.repo, file.path)] == []


def test_the_pages_say_how_much_is_pinned():
    items = read_lock(default_lock()).checkpoints
    whole = sum(item.is_pinned for item in items)
    partly = sum(
        not item.is_pinned and bool(item.revision or any(file.digest for file in item.files))
        for item in items
    )
    sentence = f"today {whole} of {len(items)} entries are pinned whole and {partly} in part"
    assert sentence in (ROOT / "README.md").read_text()
    assert f"Of {len(items)} entries" in (ROOT / "docs" / "weights.md").read_text()
