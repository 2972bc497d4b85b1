"""`score` and `compare` through the command line: PNGs, zips, runs and stores, whole or not."""

import json
import shutil

import pytest
from tiny_split import square

from submission.cli import main
from submission.files.whole import write_json
from submission.masks.store import Prediction
from submission.masks.track import Track
from submission.output.png_files import encode_png, write_track
from submission.output.zip_file import write_zip
from submission.pipeline import score as scoring
from submission.run.folder import RunFolder

EXPERTS = {"near": 3, "far": 12}  # where the square of every answer begins


@pytest.fixture
def data(split):
    return ["--data", str(split.root), "--split", split.name, "--quiet"]


@pytest.fixture
def run(split, tmp_path):
    """A finished run without a model: two experts, and the first one's masks as the vote."""
    run = RunFolder(tmp_path / "run")
    for expert, left in EXPERTS.items():
        run.store.claim(expert, {"made": "by hand"})
        for video in split.videos:
            for expression in video.expressions:
                track = Track.encode(square(left, frame) for frame in range(len(video.frame_names)))
                answer = Prediction(expression.sentence, track)
                run.store.write(expert, video.name, expression.id, answer)
                if expert == "near":
                    folder = run.annotations / video.name / expression.id
                    write_track(folder, video.frame_names, track)
    write_zip(run.annotations, split, run.zip)
    identities = {name: {"made": "by hand"} for name in EXPERTS}
    where = {"root": str(split.root), "split": split.name, "meta": split.meta_file.name}
    write_json(run.path / "run.json", {"data": where, "experts": identities})
    return run


def means(path):
    content = json.loads(path.read_text())
    return {name: result["J&F"] for name, result in content["results"].items()}


def test_a_run_is_scored_with_its_experts_and_its_own_data(run, capsys):
    assert main(["score", "--run", str(run.path), "--quiet"]) == 0
    assert list(means(run.score)) == ["near", "far", "vote"]
    scores = means(run.score)
    assert scores["vote"] == scores["near"] > scores["far"] > 0
    said = capsys.readouterr().out
    assert "gain of the vote over the best single expert (near): +0.00 points" in said
    assert "worst 4 sentences of vote" in said
    assert (run.path / "score.csv").read_text().count("\n") == 1 + 3 * 4


def test_a_folder_a_zip_and_a_run_give_the_same_numbers(run, data, tmp_path):
    assert main(["score", "--run", str(run.path), "--quiet"]) == 0
    expected = means(run.score)["vote"]
    for path, name in ((run.annotations, "Annotations"), (run.zip, "submission")):
        assert main(["score", str(path), *data, "--out", str(tmp_path / name)]) == 0
        assert means(tmp_path / name / "score.json") == {name: expected}


def test_without_out_the_score_of_a_zip_lies_beside_it(run, data):
    assert main(["score", str(run.zip), *data]) == 0
    assert (run.path / "submission.zip.score.json").is_file()
    assert not run.score.exists()


def test_the_store_of_one_expert_or_of_all_can_be_scored(run, data, tmp_path):
    store = run.store.folder
    assert main(["score", str(store), *data, "--out", str(tmp_path / "all")]) == 0
    assert main(["score", str(store / "far"), *data, "--out", str(tmp_path / "one")]) == 0
    every, one = means(tmp_path / "all/score.json"), means(tmp_path / "one/score.json")
    assert sorted(every) == ["far", "near"]
    assert one == {"far": every["far"]}


def test_several_processes_give_the_same_file(run, data, tmp_path, monkeypatch):
    for folder, pool_from in (("serial", 10**12), ("pool", 0)):
        monkeypatch.setattr(scoring, "POOL_FROM", pool_from)
        assert main(["score", str(run.path), *data, "--out", str(tmp_path / folder)]) == 0
    serial, pool = (tmp_path / folder / "score.json" for folder in ("serial", "pool"))
    assert serial.read_bytes() == pool.read_bytes()


def test_what_is_missing_counts_zero_is_listed_and_ends_with_status_one(run, data, capsys):
    shutil.rmtree(run.annotations / "cups")
    shutil.rmtree(run.annotations / "dogs/10")
    (run.annotations / "dogs/2/00001.png").unlink()
    (run.annotations / "dogs/0/00002.png").write_bytes(encode_png(square(0, 0)[:, :20]))
    (run.annotations / "dogs/0/00001.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    assert main(["score", str(run.annotations), *data]) == 1
    content = json.loads((run.path / "Annotations.score.json").read_text())
    assert content["results"]["Annotations"]["expressions"]["dogs/10"] == {"J": 0.0, "F": 0.0}
    assert [(entry["where"], entry["what"].partition(" (")[0]) for entry in content["missing"]] == [
        ("dogs/0/00001", "not an image"),
        ("dogs/0/00002", "20 x 24 pixels, but the video has 40 x 24 pixels"),
        ("dogs/2/00001", "the frame is missing"),
        ("dogs/10", "the sentence is missing"),
        ("cups", "the video is missing"),
    ]
    said = capsys.readouterr().err
    assert "Annotations: 5 things are missing or damaged, and counted 0:" in said
    assert "cups: the video is missing (1 sentence)" in said
    assert f"mevis-submission check {run.annotations} --data {data[1]}" in said


def test_what_a_store_lacks_is_nothing_that_check_could_read(run, data, capsys):
    shutil.rmtree(run.store.folder / "near/dogs")
    assert main(["score", str(run.store.folder / "near"), *data]) == 1
    said = capsys.readouterr().err
    assert "near: 1 thing is missing" in said
    assert "mevis-submission check" not in said


def test_the_same_is_listed_for_a_zip(run, data):
    run.zip.unlink()
    shutil.rmtree(run.annotations / "dogs/10")
    shutil.make_archive(str(run.path / "part"), "zip", run.annotations)
    assert main(["score", str(run.path / "part.zip"), *data]) == 1
    missing = json.loads((run.path / "part.zip.score.json").read_text())["missing"]
    assert [entry["where"] for entry in missing] == ["dogs/10"]


def test_official_leaves_out_what_lacks_a_frame_and_keeps_the_strict_score_apart(run, data, capsys):
    (run.annotations / "dogs/2/00001.png").unlink()
    shutil.rmtree(run.annotations / "cups")
    assert main(["score", str(run.annotations), *data, "--official"]) == 1
    assert not (run.path / "Annotations.score.json").exists()
    content = json.loads((run.path / "Annotations.score-official.json").read_text())
    left = content["results"]["Annotations"]["expressions"]
    assert list(left) == ["dogs/0", "dogs/10", "cups/0"]  # the missing video stays, as 0
    assert left["cups/0"] == {"J": 0.0, "F": 0.0}
    assert content["official"]["Annotations"]["left_out"] == ["dogs/2"]
    assert "1 sentence left out" in capsys.readouterr().out


def test_official_stays_apart_also_where_the_folder_of_the_run_is_named_for_it(run):
    (run.annotations / "dogs/2/00001.png").unlink()
    run.zip.unlink()
    out = ["--out", f"{run.path}/../{run.path.name}", "--quiet"]
    assert main(["score", str(run.path), *out, "--official"]) == 1
    assert not run.score.exists()
    content = json.loads((run.path / "score-official.json").read_text())
    assert content["official"]["vote"]["left_out"] == ["dogs/2"]
    assert main(["score", str(run.path), *out]) == 1
    assert "official" not in json.loads(run.score.read_text())


def test_an_expert_that_lacks_a_sentence_is_a_warning_where_the_vote_is_whole(run, capsys):
    run.store.path("far", "dogs", "2").unlink()
    run.store.path("far", "dogs", "10").write_text("{")
    assert main(["score", "--run", str(run.path), "--quiet"]) == 0
    said = capsys.readouterr().err
    assert "dogs/2: the sentence is missing" in said
    assert "damaged prediction" in said


def test_a_score_that_is_current_is_not_made_again(run):
    words = ["score", "--run", str(run.path), "--quiet"]
    assert main(words) == 0
    before = run.score.stat().st_mtime_ns
    assert main(words) == 0
    assert run.score.stat().st_mtime_ns == before
    run.store.path("far", "dogs", "2").unlink()
    assert main(words) == 0
    assert run.score.stat().st_mtime_ns != before


def test_part_of_the_split_gives_a_score_of_that_part(run):
    assert main(["score", "--run", str(run.path), "--quiet", "--videos", "cups"]) == 0
    content = json.loads(run.score.read_text())
    assert list(content["results"]["vote"]["expressions"]) == ["cups/0"]


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_masks_a_folder_too_deep_are_refused_with_the_way_out(run, data, kind, capsys):
    run.zip.unlink()
    outer = run.path / "outer"
    outer.mkdir()
    shutil.move(run.annotations, outer / "Annotations")
    if kind == "zip":
        shutil.make_archive(str(outer), "zip", outer)
        outer = outer.with_suffix(".zip")
    assert main(["score", str(outer), *data]) == 2
    assert "inside the folder Annotations/" in capsys.readouterr().err


def test_a_path_with_nothing_to_score_is_refused(data, tmp_path, capsys):
    assert main(["score", str(tmp_path / "nowhere"), *data]) == 2
    (tmp_path / "empty/predictions").mkdir(parents=True)
    assert main(["score", str(tmp_path / "empty"), *data]) == 2
    said = capsys.readouterr().err
    assert "nowhere: nothing is there" in said
    assert "has no predictions yet; run predict first" in said


def test_a_split_without_truth_is_refused(run, split, data, capsys):
    split.mask_file.unlink()
    assert main(["score", str(run.zip), *data]) == 2
    assert "no ground truth" in capsys.readouterr().err


def test_a_store_of_another_split_is_refused(run, data, split, capsys):
    meta = json.loads(split.meta_file.read_text())
    meta["videos"]["dogs"]["expressions"]["2"]["exp"] = "another sentence"
    split.meta_file.write_text(json.dumps(meta))
    assert main(["score", str(run.path), *data]) == 2
    assert "were made for other data" in capsys.readouterr().err


def test_compare_says_what_moved_between_experts_of_one_run(run, capsys):
    assert main(["score", "--run", str(run.path), "--quiet"]) == 0
    capsys.readouterr()
    words = ["compare", str(run.path), str(run.score), "--quiet"]
    assert main([*words, "--result", "far", "near"]) == 0
    said = capsys.readouterr().out
    assert "over 4 sentences" in said
    assert "95 % interval" in said
    assert "dogs/2   both dogs" in said
    assert main(words) == 0
    assert "+0.00 points of J&F over 4 sentences, 0 better and 0 worse" in capsys.readouterr().out
    assert main([*words, "--result", "third"]) == 2
    assert main(["compare", str(run.path / "none"), str(run.path)]) == 2
    assert f"{run.path / 'none'}: no such run" in capsys.readouterr().err
    run.score.unlink()
    assert main(["compare", str(run.path), str(run.path)]) == 2
    made = f"no such score; make it with: mevis-submission score {run.path}"
    assert capsys.readouterr().err.rstrip().endswith(made)
