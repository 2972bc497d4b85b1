"""A finished run whose recipe, masks or data have changed ends as a fresh run of them does."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_split import HEIGHT, WIDTH, square

from submission import Reporter, Run, read_recipe
from submission.cli import main
from submission.output.png_files import encode_png, write_track

RECIPE = """name = "{name}"
[data]
root = "data"
split = "valid_u"
[compute]
device = "cpu"
"""


@dataclass
class World:
    """A folder with a split, a recipe of given masks, and its run."""

    folder: Path
    experts: tuple[tuple[str, float], ...] = (("a", 3), ("b", 1))  # name and weight, in order
    name: str = "tiny"

    @property
    def run(self) -> Path:
        return self.folder / "out"

    def submit(self, *words: str, run: str = "out") -> int:
        tables = [
            f'[[expert]]\nname = "{name}"\nmasks = "{name}"\nweight = {weight}\n'
            for name, weight in self.experts
        ]
        path = self.folder / "tiny.toml"
        path.write_text(RECIPE.format(name=self.name) + "".join(tables))
        folder = str(self.folder / run)
        return main(["submit", "--recipe", str(path), "--run", folder, "--quiet", *words])


@pytest.fixture
def world(split_folder, split, tmp_path, monkeypatch) -> World:
    """Two experts, of squares at different places."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for left, name in enumerate("ab"):
        for video, expression in split.sentences():
            masks = [square(4 * left, frame) for frame in range(len(video.frame_names))]
            folder = tmp_path / name / video.name / expression.id
            write_track(folder, video.frame_names, masks, "1bit")
    return World(tmp_path)


def results(run: Path) -> dict[str, bytes]:
    """What a run is made for; of the page all but the time that it took."""
    names = ("submission.zip", "score.json", "score.csv", "report/index.html")
    found = {name: (run / name).read_bytes() for name in names if (run / name).exists()}
    found |= {path.name: path.read_bytes() for path in run.glob("report/videos/*")}
    found["check.json"] = (run / "check.json").read_bytes().replace(str(run).encode(), b"")
    page = found["report/index.html"].decode()
    found["report/index.html"] = re.sub("<span[^>]*><em>time</em>[^<]*</span> ", "", page).encode()
    return found


def other_weights_in_other_order(world: World) -> None:
    world.experts = (("b", 3), ("a", 1))  # the same numbers, from first to last


def other_name(world: World) -> None:
    world.name = "other"


def other_mask_of_the_same_file(world: World) -> None:
    path = world.folder / "a/dogs/2/00000.png"
    state = path.stat()
    moved = (encode_png(square(left, 0), "1bit") for left in range(1, WIDTH - 8))
    with path.open("r+b") as file:
        file.write(next(png for png in moved if len(png) == state.st_size))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def other_masks_and_folders_on_another_disk(world: World) -> None:
    other_mask_of_the_same_file(world)
    for name in ("predictions/a/dogs", "Annotations/cups/0", "Annotations/dogs"):
        place = world.folder / name.replace("/", "-")
        (world.run / name).rename(place)
        (world.run / name).symlink_to(place)


def other_frames(world: World) -> None:
    image = Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8))
    image.save(world.folder / "data/valid_u/JPEGImages/dogs/00000.jpg")


CHANGES = [
    other_weights_in_other_order,
    other_name,
    other_masks_and_folders_on_another_disk,
    other_frames,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_run_equals_a_fresh_one(world, change: Callable[[World], None]):
    assert world.submit() == 0
    before = results(world.run)
    change(world)
    assert world.submit() == 0
    assert world.submit(run="fresh") == 0
    assert results(world.run) == results(world.folder / "fresh")
    assert results(world.run) != before


def test_what_is_submitted_twice_from_python_is_recorded_as_it_was_the_second_time(world):
    assert world.submit("--dry-run") == 0  # writes the recipe
    run = Run(read_recipe(str(world.folder / "tiny.toml")), None, world.run, Reporter("quiet"))
    records = []
    for _ in range(2):
        run.submit()
        records.append(json.loads((world.run / "run.json").read_text()))
        assert records[-1]["experts"]["a"] == run.folder.store.identity("a")
        other_mask_of_the_same_file(world)
    assert records[0]["experts"]["a"] != records[1]["experts"]["a"]
    assert [len(record["calls"]) for record in records] == [1, 2]


def test_the_page_of_a_whole_run_does_not_say_that_it_is_a_part(world):
    assert world.submit("--videos", "cups,dogs") == 0
    page = world.run / "report/index.html"
    assert "MeViS valid_u, a part" in page.read_text()
    assert world.submit() == 0
    assert "a part" not in page.read_text()


def test_a_score_goes_with_its_zip_where_the_truth_has_gone(world, capsys):
    assert world.submit() == 0
    truth, score = world.folder / "data/valid_u/mask_dict.json", world.run / "score.json"
    kept = truth.read_bytes()
    truth.unlink()
    assert world.submit() == 0  # the same zip: its score holds, and the page has no truth to show
    assert json.loads(score.read_text())["results"]
    assert "made with a ground truth that is not here now" in capsys.readouterr().err
    other_mask_of_the_same_file(world)
    assert world.submit() == 0
    assert not list(world.run.glob("score.*"))
    assert "score.json and score.csv were of another zip" in capsys.readouterr().err
    truth.write_bytes(kept)
    assert world.submit() == 0
    assert score.exists()


def test_a_score_of_an_earlier_zip_is_told_where_it_is_compared(world, capsys):
    assert world.submit() == 0
    words = ["compare", str(world.run), str(world.run)]
    assert main(words) == 0
    assert capsys.readouterr().err == ""
    world.experts = (("b", 3), ("a", 1))
    assert world.submit("--dry-run") == 0  # writes the recipe
    again = ["--recipe", str(world.folder / "tiny.toml"), "--run", str(world.run), "--quiet"]
    assert main(["vote", *again]) == main(["pack", *again]) == 0
    assert main(words) == 0
    assert "score.json: it is of an earlier zip; score the one of now" in capsys.readouterr().err


def test_a_shard_without_videos_is_no_fault_of_given_masks(world):
    words = ["predict", "--recipe", str(world.folder / "tiny.toml"), "--run", str(world.run)]
    assert world.submit("--dry-run") == 0
    assert main([*words, "--shard", "3/3", "--quiet"]) == 0
