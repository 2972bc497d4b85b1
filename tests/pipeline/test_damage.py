"""What a power cut or a bad disk does to files of a run is noticed, and they are made again."""

import os
import shutil
from pathlib import Path

import pytest

from submission.cli import main
from submission.files.whole import write_bytes


@pytest.fixture(scope="module")
def finished(tmp_path_factory, request):
    """A finished run of given masks: its folder, and the words of its call."""
    from conftest import answer, split, split_folder

    base = tmp_path_factory.mktemp("damage")
    folder = split_folder.__wrapped__(base)
    data = split.__wrapped__(folder)
    answer.__wrapped__(data, base / "given")
    recipe = base / "given.toml"
    recipe.write_text(
        '[[expert]]\nname = "given"\nmasks = "given/run/Annotations"\n[compute]\ndevice = "cpu"\n'
    )
    words = ["submit", "--recipe", str(recipe), "--data", str(data.root), "--split", data.name]
    assert main([*words, "--run", str(base / "out"), "--quiet"]) == 0
    return base / "out", words


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the run that a test may spoil, and the words of its call."""
    out, words = finished
    copy = shutil.copytree(out, tmp_path / "out", copy_function=shutil.copy2)
    return copy, [*words, "--run", str(copy), "--quiet"]


def spoil(path, how):
    """Damage a file; its time stays, as on a bad disk."""
    stat, content = path.stat(), path.read_bytes()
    half = len(content) // 2
    damaged = {
        "empty": b"",
        "half": content[:half],
        "zeros": bytes(len(content)),
        "flip": content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :],
    }[how]
    path.write_bytes(damaged)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


PNG = "Annotations/dogs/2/00001.png"


@pytest.mark.parametrize("how", ["empty", "half", "zeros", "flip"])
@pytest.mark.parametrize(
    "name", ["submission.zip", "report/videos/video-0001.js", "report/videos/video-0000.webp"]
)
def test_a_damaged_result_is_made_again(run, name, how):
    folder, words = run
    expected = (folder / name).read_bytes()
    spoil(folder / name, how)
    assert (folder / name).read_bytes() != expected
    assert main(words) == 0
    assert (folder / name).read_bytes() == expected


@pytest.mark.parametrize("how", ["empty", "half", "zeros", "flip"])
def test_a_damaged_png_is_drawn_again_before_it_reaches_the_zip(run, how):
    folder, words = run
    expected = [(folder / name).read_bytes() for name in (PNG, "submission.zip")]
    spoil(folder / PNG, how)
    (folder / "submission.zip").unlink()
    assert main(words) == 0
    assert [(folder / name).read_bytes() for name in (PNG, "submission.zip")] == expected


@pytest.mark.parametrize("how", ["empty", "flip"])
def test_a_damaged_png_is_drawn_again_although_the_zip_is_whole(run, how):
    folder, words = run
    expected = (folder / PNG).read_bytes()
    spoil(folder / PNG, how)
    assert main(words) == 0
    assert (folder / PNG).read_bytes() == expected


@pytest.mark.parametrize("put", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_in_the_place_of_a_png_is_not_opened(run, put):
    folder, words = run
    expected = (folder / PNG).read_bytes()
    (folder / PNG).unlink()
    put(folder / PNG)
    assert main(words) == 0
    assert (folder / PNG).read_bytes() == expected


def test_a_file_is_on_disk_before_it_has_its_name(tmp_path, named):
    write_bytes(tmp_path / "a", b"abc")
    write_bytes(tmp_path / "b", b"abc", durable=False)
    assert list(named.values()) == [True, False]


def test_all_that_a_run_cannot_tell_to_be_whole_is_on_disk_before_it_has_its_name(run, named):
    folder, words = run
    shutil.rmtree(folder)
    assert main(words) == 0
    paths = {Path(path).relative_to(folder) for path, is_on_disk in named.items() if is_on_disk}
    late = {Path(path).relative_to(folder) for path, is_on_disk in named.items() if not is_on_disk}
    # The sizes or digests of these stand in the records of their stages.
    assert {path.parts[0] for path in late} == {"Annotations", "report"}
    assert {path.parent.name for path in late if path.parts[0] == "report"} == {"videos"}
    made = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert made - late - paths == {Path(".lock"), Path("log.txt")}


def test_results_are_as_readable_as_any_other_file(tmp_path):
    write_bytes(tmp_path / "a", b"")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode
