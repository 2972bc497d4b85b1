"""`submit` ends with the report, and `report` writes it again without touching the record."""

import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image
from tiny_split import square

from submission.cli import main
from submission.dataset.mevis import Split
from submission.masks.track import Track
from submission.output.png_files import write_track

STAGES = ("predict", "vote", "pack", "check", "score", "report")


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


def shown_scores(page: Path) -> dict[str, str]:
    """The J&F that the page's table shows, by name of the result; a dash where there is none."""
    text = page.read_text(encoding="utf-8")
    rows = re.findall(r'<th scope="row">(.*?)</th>\s*<td>(.*?)</td>', text)
    return dict(rows[:3])


def test_a_changed_vote_never_stands_beside_the_old_score(tmp_path, call, capsys):
    run, page = tmp_path / "run", tmp_path / "run/report/index.html"
    recipe = Path(call[2])
    assert main(["submit", *call]) == 0
    results = json.loads((run / "score.json").read_text())["results"]
    scores = {name: f"{100 * result['J&F']:.2f}" for name, result in results.items()}
    assert shown_scores(page) == scores

    recipe.write_text(recipe.read_text() + "weight = 3\n")  # of the second expert, which decides
    capsys.readouterr()
    assert main(["report", *call]) == 0
    assert shown_scores(page) == {**scores, "vote": "–"}
    told = "is not the one that was scored, so its score is left out"
    assert told in page.read_text()
    assert told in capsys.readouterr().err

    assert main(["vote", *call]) == main(["report", *call]) == 0  # voted, but not packed yet
    assert shown_scores(page)["vote"] == "–"
    assert main(["submit", *call]) == 0
    assert shown_scores(page)["vote"] == scores["two"] != scores["vote"]
    assert told not in page.read_text()


def test_scores_of_other_answers_are_not_shown(tmp_path, call):
    run, page = tmp_path / "run", tmp_path / "run/report/index.html"
    assert main(["submit", *call]) == 0
    answer = next((run / "predictions/one/dogs").iterdir())
    answer.touch()
    assert main(["report", *call]) == 0
    assert "score them with: mevis-submission score" in page.read_text()
    assert 'class="headline"' not in page.read_text()
    assert "J&amp;F" not in page.read_text().partition("<main")[0]


@pytest.mark.parametrize(
    ("stage", "again"),
    [("vote", ["vote", "pack", "check", "score"]), ("check", ["check"])],
)
def test_other_code_of_a_stage_does_it_again(tmp_path, call, monkeypatch, capsys, stage, again):
    words = [word for word in call if word != "--quiet"]
    assert main(["submit", *words]) == 0
    capsys.readouterr()
    monkeypatch.setattr(f"submission.pipeline.{stage}.code_digest", lambda name: "other")
    assert main(["submit", *words]) == 0
    said = capsys.readouterr().err.splitlines()
    stages = [line.split()[0] for line in said if line.split()[0] in STAGES]
    assert stages == again


def test_an_expert_without_any_mask_is_told_on_the_screen_in_the_record_and_on_the_page(
    tmp_path, call, capsys
):
    for file in (tmp_path / "two").rglob("*.png"):
        # A palette in which the object is black: the file holds it, and nobody will see it.
        image = Image.open(file).convert("P").point(lambda value: int(value > 0))
        image.putpalette([0, 0, 0, 0, 0, 0])
        image.save(file)
    assert main(["submit", *call]) == 0
    told = "expert two: not one of its 4 answers has a mask in any frame"
    said = capsys.readouterr().err
    assert told in said
    assert "no mask has any foreground" in said  # two experts have to agree
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["warnings"][0].startswith(told)
    assert told in (tmp_path / "run/report/index.html").read_text()
    assert main(["submit", *call]) == 0  # said again where nothing is done again
    assert told in capsys.readouterr().err


def test_report_lists_every_prediction_that_is_missing(tmp_path, call, capsys):
    assert main(["submit", *call]) == 0
    for path in (tmp_path / "run/predictions/two/dogs").iterdir():
        path.unlink()
    capsys.readouterr()
    assert main(["report", *call]) == 2
    told = capsys.readouterr().err
    assert told.count("expert two, video dogs, expression") == 3
    assert "Run predict first" in told
