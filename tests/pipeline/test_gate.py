"""The gate in a run: what is emptied and why, what is done again, what is said before and after."""

import json
from pathlib import Path

import pytest
from tiny_split import meta, square, write_meta

from submission.cli import main
from submission.dataset.mevis import Split
from submission.masks.track import Track
from submission.output.png_files import write_track


@pytest.fixture
def call(tmp_path: Path, split: Split):
    """A recipe of two given experts that agree on all sentences but the one without a target."""
    for expert in ("one", "two"):
        for video in split.videos:
            for one in video.expressions:
                left = 2 if expert == "one" or one.sentence != "the cat" else 22
                masks = [square(left, frame) for frame in range(len(video.frame_names))]
                folder = tmp_path / expert / video.name / one.id
                write_track(folder, video.frame_names, Track.encode(masks), "1bit")
    text = (
        f'[data]\nroot = "{split.root}"\nsplit = "{split.name}"\n'
        '[[expert]]\nname = "one"\nmasks = "one"\nweight = 3\n[[expert]]\nname = "two"\n'
        'masks = "two"\n'
    )

    def make(gate: str = "") -> list[str]:
        recipe = tmp_path / "given.toml"
        recipe.write_text(text + gate)
        return ["--quiet", "--recipe", str(recipe), "--run", str(tmp_path / "run")]

    return make


GATE = '[gate]\nevidence = "agreement"\nbelow = 0.35\n'


def shown(tmp_path: Path) -> dict[str, float]:
    means = json.loads((tmp_path / "run/score.json").read_text())["results"]["vote"]
    return {name: means[name] for name in ("N-acc", "T-acc")}


def test_a_gated_sentence_has_empty_masks_and_its_reason_is_kept(tmp_path, call):
    assert main(["submit", *call()]) == 0
    assert shown(tmp_path) == {"N-acc": 0.0, "T-acc": 1.0}
    kept = (tmp_path / "run/Annotations/dogs/10/00000.png").read_bytes()
    assert main(["submit", *call(GATE)]) == 0
    assert shown(tmp_path) == {"N-acc": 1.0, "T-acc": 1.0}
    assert (tmp_path / "run/Annotations/dogs/10/00000.png").read_bytes() == kept
    reasons = json.loads((tmp_path / "run/stages/vote/dogs.json").read_text())["gate"]
    assert reasons["0"]["emptied"]
    assert reasons["0"]["evidence"]["agreement"] == 0
    assert not reasons["10"]["emptied"]
    # The masks are still there: without the gate the vote is what it was.
    assert main(["submit", *call()]) == 0
    assert shown(tmp_path)["N-acc"] == 0


def test_a_gate_without_its_evidence_says_so(call, capsys):
    assert main(["submit", *call(GATE)]) == 0
    assert "lack" not in capsys.readouterr().err
    assert main(["submit", *call(GATE.replace("agreement", "p_yes"))]) == 0
    assert "the gate reads p_yes, which 4 of 4 sentences lack" in capsys.readouterr().err


def test_a_part_of_v2_is_not_taken_for_v1(call, capsys):
    assert main(["submit", *call(GATE), "--videos", "cups", "--dry-run"]) == 0
    assert "MeViS v1" not in capsys.readouterr().out


def test_the_page_shows_what_was_emptied_and_whether_rightly(tmp_path, call):
    assert main(["submit", *call(GATE)]) == 0
    page = (tmp_path / "run/report/index.html").read_text(encoding="utf-8")
    assert "<b>1</b> sentences were emptied" in page
    assert "<b>1</b> of them rightly, of 1 without a target" in page
    assert '"emptied":true' in page.replace(" ", "")
    assert main(["submit", *call()]) == 0
    assert "were emptied" not in (tmp_path / "run/report/index.html").read_text(encoding="utf-8")


def test_calibrate_writes_what_a_recipe_reads(tmp_path, call, capsys):
    assert main(["submit", *call()]) == 0
    words = ["calibrate", "--run", str(tmp_path / "run"), "--share", "0.04", "--evidence",
             "agreement", "--quiet"]  # fmt: skip
    capsys.readouterr()
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "4 sentences, 1 without a target; weighted to a share of 4.0%" in out
    assert "empty where agreement is below 0.5" in out
    gate = '[gate]\ncalibration = "run/gate.json"\n'
    assert main(["submit", *call(gate)]) == 0
    assert shown(tmp_path) == {"N-acc": 1.0, "T-acc": 1.0}
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["recipe"]["gate"]["experts"] == ["one", "two"]
    # The record alone is enough: the page is drawn again without the file.
    (tmp_path / "run/gate.json").unlink()
    assert main(["report", "--quiet", "--run", str(tmp_path / "run")]) == 0


def test_calibrating_where_nothing_can_be_learnt_is_refused(tmp_path, call, split_folder, capsys):
    assert main(["submit", *call()]) == 0
    words = ["calibrate", "--run", str(tmp_path / "run"), "--quiet", "--share"]
    assert main([*words, "1.5"]) == 2
    assert main([*words, "0.04", "--evidence", "luck"]) == 2
    assert main([*words, "0.04", "--evidence", "p_yes"]) == 2
    assert main([*words, "0.04", "--videos", "dogs"]) == 2
    assert main([*words, "0.04", "--videos", "cups"]) == 2
    said = capsys.readouterr().err
    for what in ("between 0 and 1", "the kinds are p_yes", "evidence that this run lacks",
                 "two videos at least", "no sentence without a target"):  # fmt: skip
        assert what in said
    (split_folder / "mask_dict.json").unlink()
    assert main([*words, "0.04"]) == 2
    assert "no ground truth" in capsys.readouterr().err


def test_a_dry_run_names_the_gate_and_warns_on_v1(call, split_folder, capsys):
    assert main(["submit", *call(GATE), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "gate       empty where agreement is below 0.35" in out
    assert "MeViS v1" not in out
    values = meta()
    del values["videos"]["dogs"]["expressions"]["0"]
    write_meta(split_folder, values)
    assert main(["submit", *call(GATE), "--dry-run"]) == 0
    assert "every sentence has a target: a gate can only lose there" in capsys.readouterr().out
    assert main(["submit", *call(), "--dry-run"]) == 0
    assert "\ngate " not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ("[gate]\n", "it needs calibration, or evidence and below"),
        ('[gate]\nevidence = "area"\n', "it needs calibration, or evidence and below"),
        ('[gate]\nevidence = "luck"\nbelow = 1\n', "the kinds are p_yes"),
        ('[gate]\ncalibration = "none.json"\n', "no such calibration"),
        (GATE + "above = 3\n", "above: unknown key"),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(call, capsys, gate, said):
    assert main(["submit", *call(gate)]) == 2
    assert said in capsys.readouterr().err
