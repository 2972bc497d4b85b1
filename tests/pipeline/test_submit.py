"""The whole way on the embedded sample, through the command line, as a user walks it."""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from submission.cli import main
from submission.recipes.find import PACKAGED
from submission.run.holding import LOCK
from submission.run.record import describe_code

SAMPLE = PACKAGED / "sample.toml"
SPLIT = PACKAGED.parent / "samples/mevis"
DATA = ["--data", str(SPLIT), "--split", "valid_u"]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def two_clips(tmp_path_factory) -> Path:
    """A finished run over the first two clips of the sample."""
    run = tmp_path_factory.mktemp("run")
    assert main(["submit", "--run", str(run), "--limit", "2", "--quiet"]) == 0
    return run


@pytest.fixture
def run(two_clips, tmp_path) -> Path:
    """A copy of it that a test may spoil."""
    return Path(shutil.copytree(two_clips, tmp_path / "run", copy_function=shutil.copy2))


def test_a_run_leaves_what_the_design_promises(two_clips):
    videos = json.loads((SPLIT / "valid_u/meta_expressions.json").read_text())["videos"]
    name, video = next(iter(videos.items()))
    prediction = json.loads((two_clips / f"predictions/uniform5/{name}/0.json").read_text())
    assert len(prediction["masks"]) == len(video["frames"])
    assert prediction["text"] == "Sure, [SEG].<|im_end|>"
    assert prediction["key_frames"][0] == 0
    assert prediction["key_frames"][-1] == len(video["frames"]) - 1
    assert (two_clips / f"Annotations/{name}/0/00000.png").is_file()
    assert json.loads((two_clips / "check.json").read_text())["ok"]
    score = json.loads((two_clips / "score.json").read_text())
    assert set(score["results"]) == {"first5", "uniform5", "uniform6", "uniform11", "vote"}
    record = json.loads((two_clips / "run.json").read_text())
    waits = {"predict, waiting for frames", "predict, waiting for writing"}
    assert set(record["seconds"]) == {"predict", "vote", "pack", "check", "score"} | waits
    assert sum(record["seconds"][wait] for wait in waits) < record["seconds"]["predict"]
    assert len(record["experts"]["uniform5"]["files"]["model.safetensors"]) == 64
    assert record["attention"] == dict.fromkeys(record["experts"], "blocks of float32 scores")
    with zipfile.ZipFile(two_clips / "submission.zip") as archive:
        assert archive.namelist()[0] == f"{name}/0/00000.png"


def test_where_nothing_can_be_recorded_one_line_says_so_and_the_run_goes_on(tmp_path, capsys):
    recipe = tmp_path / "one.toml"
    recipe.write_text(
        f'[[expert]]\nname = "a"\ncheckpoint = "{SPLIT.parent / "small-5"}"\n'
        '[compute]\ncompile = "parts"\n'
    )
    words = ["predict", "--recipe", str(recipe), "--run", str(tmp_path / "r"), *DATA]
    assert main([*words, "--videos", "clip_00", "--device", "cpu"]) == 0
    assert capsys.readouterr().err.count('compile = "parts" has no effect: CUDA graphs need') == 1
    record = json.loads((tmp_path / "r" / "run.json").read_text())
    ran_on = "blocks of float32 scores; compile off: CUDA graphs need a GPU, and the device is cpu"
    assert record["attention"] == {"a": ran_on}


def test_the_record_names_the_image_that_the_engine_was_asked_for(monkeypatch):
    monkeypatch.delenv("MEVIS_IMAGE", raising=False)
    assert set(describe_code()) == {"version", "revision"}
    monkeypatch.setenv("MEVIS_IMAGE", "sha256:abc")
    assert describe_code()["image"] == "sha256:abc"


def test_a_second_call_does_no_work_again(run, capsys):
    seconds = json.loads((run / "run.json").read_text())["seconds"]
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    assert main(["submit", "--run", str(run), "--limit", "2"]) == 0
    said = capsys.readouterr().err
    assert "predict" not in said
    assert "vote" not in said
    after = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    changed = {path for path in after if after[path] != before.get(path)}
    record_and_copy = {run / "run.json", run / "report/run.json"}
    (call,) = changed - record_and_copy - {run / LOCK, run / "log.txt"}
    assert call.parent == run / "calls"
    record = json.loads((run / "run.json").read_text())
    assert len(record["calls"]) == 2
    kept = record["seconds"]
    assert record["attention"].keys() == record["experts"].keys()
    assert all(kept[stage] >= spent for stage, spent in seconds.items())
    assert seconds["predict"] > 0


def test_a_change_of_the_vote_keeps_what_the_record_says_of_predictions(run, tmp_path):
    before = json.loads((run / "run.json").read_text())
    recipe = tmp_path / "other.toml"
    text = SAMPLE.read_text().replace("../samples", str(PACKAGED.parent / "samples"))
    recipe.write_text(text.replace('rule = "majority"', 'rule = "paper"'))
    assert recipe.read_text() != text
    words = ["--recipe", str(recipe), "--limit", "2", "--run", str(run), "--quiet"]
    assert main(["vote", *words]) == 0
    after = json.loads((run / "run.json").read_text())
    assert after["seconds"]["predict"] == before["seconds"]["predict"]
    assert set(after["seconds"]) & {"pack", "check", "score"} == set()
    assert after["attention"] == before["attention"] != {}


def test_a_report_alone_knows_recipe_and_data_of_its_run(run, tmp_path, capsys):
    recipe, out = tmp_path / "given.toml", tmp_path / "out"
    recipe.write_text(f'[[expert]]\nname = "given"\nmasks = "{run / "Annotations"}"\n')
    small = tmp_path / "data"
    shutil.copytree(SPLIT / "valid_u", small / "valid", ignore=lambda *_: {"mask_dict.json"})
    meta = json.loads((small / "valid/meta_expressions.json").read_text())
    meta["videos"] = {name: meta["videos"][name] for name in sorted(meta["videos"])[:2]}
    (small / "valid/meta_expressions.json").write_text(json.dumps(meta))
    words = ["--recipe", str(recipe), "--data", str(small), "--split", "valid", "--quiet"]
    assert main(["submit", *words, "--run", str(out)]) == 0
    shutil.rmtree(out / "report")
    assert main(["report", "--run", str(out)]) == 0
    for verb in ("submit", "predict", "vote", "pack"):  # which would take the sample's recipe
        assert main([verb, "--run", str(out)]) == 2
        assert "this run was made with the recipe" in capsys.readouterr().err
    assert "given" in (out / "report/index.html").read_text()
    record = json.loads((out / "run.json").read_text())
    del record["recipe"]["experts"]
    (out / "run.json").write_text(json.dumps(record))
    assert main(["report", "--run", str(out)]) == 2
    assert "its recipe cannot be read ('experts'); name it with --recipe" in capsys.readouterr().err


def test_what_was_lost_is_made_again_with_the_same_bytes(run):
    expected = digest(run / "submission.zip")
    (run / "submission.zip").unlink()
    shutil.rmtree(next((run / "Annotations").iterdir()))
    next((run / "predictions/first5").glob("*/1.json")).unlink()
    assert main(["submit", "--run", str(run), "--limit", "2", "--quiet"]) == 0
    assert digest(run / "submission.zip") == expected


def test_the_verbs_one_by_one_give_the_same_zip(two_clips, tmp_path):
    run = tmp_path / "run"
    for shard in ("1/2", "2/2"):
        words = ["--limit", "2", "--shard", shard, "--quiet"]
        assert main(["predict", "--run", str(run), *words]) == 0
    for verb in ("vote", "pack"):
        assert main([verb, "--run", str(run), "--limit", "2", "--quiet"]) == 0
    record = json.loads((run / "run.json").read_text())
    calls = [(call["seconds"], call["data"]["videos"]) for call in record["calls"]]
    assert [(set(seconds) & {"predict", "vote", "pack"}, videos) for seconds, videos in calls] == [
        ({"predict"}, 1), ({"predict"}, 1), ({"vote"}, 2), ({"pack"}, 2),
    ]  # fmt: skip
    assert record["seconds"]["predict"] == pytest.approx(
        sum(seconds.get("predict", 0) for seconds, _ in calls), abs=1e-3
    )
    assert record["attention"].keys() == record["experts"].keys()  # known from the shards
    assert digest(run / "submission.zip") == digest(two_clips / "submission.zip")


def test_a_shard_cannot_be_submitted(tmp_path, capsys):
    assert main(["submit", "--run", str(tmp_path), "--shard", "1/2"]) == 2
    assert "predict --shard i/n" in capsys.readouterr().err


def test_predictions_of_another_recipe_are_refused(run, tmp_path, capsys):
    recipe = tmp_path / "other.toml"
    text = SAMPLE.read_text().replace("../samples", str(PACKAGED.parent / "samples"))
    recipe.write_text(text.replace('sampling = "uniform"\nframes = 5', "frames = 4"))
    assert main(["submit", "--run", str(run), "--recipe", str(recipe), "--limit", "2"]) == 2
    said = capsys.readouterr().err
    assert "settings.frames: 5 then, 4 now" in said
    assert "--run" in said


def test_predictions_of_other_model_code_are_refused(run, monkeypatch, capsys):
    monkeypatch.setattr("submission.experts.sa2va.expert.prediction_code", lambda *modules: "other")
    assert main(["submit", "--run", str(run), "--limit", "2"]) == 2
    assert "model_code" in capsys.readouterr().err


def test_a_vote_without_predictions_lists_them(run, tmp_path, capsys):
    assert main(["vote", "--run", str(tmp_path), "--limit", "1"]) == 2
    said = capsys.readouterr().err
    assert "expert first5: no prediction of 4 sentences" in said
    assert "Run predict first" in said
    answered = tmp_path / "predictions/first5/clip_00/1.json"
    answered.parent.mkdir(parents=True)
    shutil.copy(run / answered.relative_to(tmp_path), answered)
    assert main(["vote", "--run", str(tmp_path), "--limit", "1"]) == 2
    said = capsys.readouterr().err
    assert "expert first5, video clip_00, expression 0: no prediction" in said
    assert "expert first5, video clip_00, expression 1" not in said
    assert "expert uniform5: no prediction of 4 sentences" in said


@pytest.mark.parametrize("part", ["", "submission.zip", "Annotations"])
def test_a_run_or_a_part_of_it_is_checked_and_scored_with_its_own_data(
    part, answer, split, tmp_path, capsys
):
    recipe = tmp_path / "given.toml"
    recipe.write_text(f'[[expert]]\nname = "given"\nmasks = "{answer}"\n')
    words = ["--data", str(split.root), "--split", split.name, "--run", str(tmp_path / "out")]
    assert main(["submit", "--recipe", str(recipe), *words, "--quiet"]) == 0
    for verb in ("check", "score"):
        assert main([verb, str(tmp_path / "out" / part), "--quiet"]) == 0
    assert "no faults (2 videos, 4 sentences" in capsys.readouterr().out
    elsewhere = shutil.copy(tmp_path / "out/submission.zip", tmp_path / "elsewhere.zip")
    assert main(["check", str(elsewhere), "--quiet"]) == 1  # held against the sample
    assert "no mask of the sample split" in capsys.readouterr().err


def test_a_report_of_no_run_names_the_nearest_and_makes_nothing(run, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "runs/first")
    assert main(["report", "--run", str(tmp_path / "runs/frist")]) == 2
    said = capsys.readouterr().err
    assert "frist: no run is there, it has no run.json" in said
    assert main(["report", "--run", str(tmp_path / "runs")]) == 2
    assert f"runs lie in it; name one: {tmp_path}/runs/first" in capsys.readouterr().err
    assert 'did you mean "first"?' in said
    assert not (tmp_path / "runs/frist").exists()


@pytest.mark.parametrize("verb", ["vote", "pack", "report"])
def test_a_run_whose_name_is_wrong_is_not_begun(tmp_path, verb, capsys):
    words = [verb, "--recipe", "sample", "--run", str(tmp_path / "tpyo"), "--limit", "1"]
    assert main(words) == 2
    assert "tpyo: no such run; name the folder of one with --run" in capsys.readouterr().err
    assert not (tmp_path / "tpyo").exists()
    (tmp_path / "tpyo").mkdir()  # the folder of a run, though an empty one
    assert main(words) == 2
    assert "no such run" not in capsys.readouterr().err


def test_given_masks_vote_like_any_other(run, tmp_path):
    recipe = tmp_path / "given.toml"
    zips = f'masks = "{run / "submission.zip"}"'
    folder = f'masks = "{run / "Annotations"}"'
    recipe.write_text(f'[[expert]]\nname = "a"\n{zips}\n[[expert]]\nname = "b"\n{folder}\n')
    words = ["--recipe", str(recipe), *DATA, "--limit", "2", "--run", str(tmp_path / "out")]
    assert main(["submit", *words, "--quiet"]) == 0
    assert digest(tmp_path / "out/submission.zip") == digest(run / "submission.zip")


def test_a_member_may_leave_sentences_out_only_when_asked(run, tmp_path, capsys):
    given = Path(shutil.copytree(run / "Annotations", tmp_path / "given"))
    shutil.rmtree(given / "clip_01" / "0")
    recipe = tmp_path / "skip.toml"
    members = "".join(
        f'[[expert]]\nname = "{name}"\nmasks = "{path}"\n'
        for name, path in (("whole", run / "Annotations"), ("gap", given))
    )
    words = ["--recipe", str(recipe), *DATA, "--limit", "2", "--run", str(tmp_path / "out")]
    recipe.write_text(members)
    assert main(["submit", *words]) == 2
    said = capsys.readouterr().err
    assert f"expert gap: {given}: clip_01/0: the expression is missing" in said
    assert 'missing = "skip"' in said
    recipe.write_text(members + '[vote]\nmissing = "skip"\n')
    assert main(["submit", *words, "--quiet"]) == 0
    assert digest(tmp_path / "out/submission.zip") == digest(run / "submission.zip")
    capsys.readouterr()
    assert main(["submit", *words]) == 0  # the gap stays, and yet there is nothing to do again
    said = capsys.readouterr().err
    assert "predict" not in said
    assert "vote\n" not in said


def test_a_dry_run_says_what_is_to_do_and_writes_nothing(tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["submit", "--run", str(run), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "10 videos, 40 sentences" in said
    assert "uniform5: 50 key frames, 0 of 40 sentences done" in said
    assert "shared     first5, uniform5, uniform6: one loaded model" in said
    assert "462 frames decoded and encoded for SAM 2, instead of 924" in said
    assert not run.exists()


@pytest.mark.parametrize("spoil", ["frame", "truncated", "wrapper"])
def test_check_names_what_is_wrong(run, tmp_path, capsys, spoil):
    folder = run / "Annotations"
    if spoil == "frame":
        (folder / "clip_00/0/00003.png").unlink()
    elif spoil == "truncated":
        path = folder / "clip_00/0/00003.png"
        path.write_bytes(path.read_bytes()[:-20])
    else:
        wrapper = tmp_path / "wrapped"
        wrapper.mkdir()
        folder = Path(shutil.move(folder, wrapper / "Annotations")).parent
    assert main(["check", str(folder), *DATA, "--limit", "2", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert {"frame": "00003", "truncated": "00003.png", "wrapper": "Annotations"}[spoil] in said
    assert not json.loads((tmp_path / "check.json").read_text())["ok"]


def test_a_damaged_frame_stops_its_video_only(tmp_path, capsys):
    data = Path(shutil.copytree(SPLIT, tmp_path / "mevis"))
    frame = data / "valid_u/JPEGImages/clip_00/00002.jpg"
    png = frame.with_suffix(".png")
    Image.open(frame).save(png)
    frame.unlink()
    content = bytearray(png.read_bytes())
    content[len(content) // 2] ^= 0xFF  # header and end stay right: only decoding finds it
    png.write_bytes(content)
    words = ["--recipe", str(SAMPLE), "--data", str(data), "--limit", "2", "--run"]
    assert main(["predict", *words, str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "expert first5, video clip_00" in said
    assert "00002.png" in said
    assert list((tmp_path / "out/predictions/first5/clip_01").glob("*.json"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["submit", "--data", "x"], "add --recipe"),
        (["submit", "--videos", "nope"], "nope"),
        (["submit", "--device", "tpu"], "device is 'tpu'"),
        (["submit", "--recipe", str(SAMPLE), "--split", "test"], "no such split"),
        (["check", "nowhere.zip"], "no such file or folder"),
        (["submit", "--shard", "3/2"], "3/2"),
    ],
)
def test_a_wrong_call_ends_with_2_and_a_sentence(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
