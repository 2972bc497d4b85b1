"""`submit` ends with the report, and `report` writes it again without touching the record."""

import shutil
from pathlib import Path

import pytest
from tiny_split import square

from submission.cli import main
from submission.dataset.mevis import Split
from submission.masks.track import Track
from submission.output.png_files import write_track


@pytest.fixture
def call(tmp_path: Path, split: Split) -> list[str]:
    """Return the words after the verb: a recipe of two experts whose masks are given."""
    for expert, left in (("one", 2), ("two", 4)):
        for video in split.videos:
            for expression in video.expressions:
                masks = [square(left, frame) for frame in range(len(video.frame_names))]
                folder = tmp_path / expert / video.name / expression.id
                write_track(folder, video.frame_names, Track.encode(masks), "1bit")
    recipe = tmp_path / "given.toml"
    recipe.write_text(
        f'[data]\nroot = "{split.root}"\nsplit = "{split.name}"\n'
        '[[expert]]\nname = "one"\nmasks = "one"\n[[expert]]\nname = "two"\nmasks = "two"\n'
    )
    return ["--quiet", "--recipe", str(recipe), "--run", str(tmp_path / "run")]


def test_submit_ends_with_the_report(tmp_path, call, capsys):
    assert main(["submit", *call]) == 0
    page = tmp_path / "run/report/index.html"
    assert capsys.readouterr().out.splitlines()[-1] == f"report   {page}"
    assert "the cup on the left" in page.read_text(encoding="utf-8")


def test_report_makes_the_page_again_and_leaves_the_record(tmp_path, call, capsys):
    assert main(["submit", *call]) == 0
    record = (tmp_path / "run/run.json").read_bytes()
    page = (tmp_path / "run/report/index.html").read_bytes()
    shutil.rmtree(tmp_path / "run/report")
    capsys.readouterr()
    assert main(["report", *call]) == 0
    assert capsys.readouterr().out == f"report   {tmp_path / 'run/report/index.html'}\n"
    assert (tmp_path / "run/report/index.html").read_bytes() == page
    assert (tmp_path / "run/run.json").read_bytes() == record


def test_report_lists_every_prediction_that_is_missing(tmp_path, call, capsys):
    assert main(["submit", *call]) == 0
    for path in (tmp_path / "run/predictions/two/dogs").iterdir():
        path.unlink()
    capsys.readouterr()
    assert main(["report", *call]) == 2
    told = capsys.readouterr().err
    assert told.count("expert two, video dogs, expression") == 3
    assert "Run predict first" in told
