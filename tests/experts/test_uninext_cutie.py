"""UNINEXT and Cutie together: key frames, fusion, and the whole way through the command line."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from models.cutie_cases import weights
from models.uninext_cases import write_checkpoint
from waiting import run_until_killed

from submission.cli import main
from submission.dataset.frames import open_frames
from submission.experts.uninext_cutie.key_frames import best_frames, fuse
from submission.masks.store import PredictionStore
from submission.masks.track import Track
from submission.models.cutie import loading as cutie_loading
from submission.models.cutie.settings import CutieSettings
from submission.models.uninext import loading as uninext_loading
from submission.models.uninext.config import FRAME_SIZE

ROOT = Path(__file__).parents[2]


# --- key frames and fusion -----------------------------------------------------------------------
def test_key_frames_are_the_best_that_have_a_mask():
    masks = np.ones((5, 2, 3), bool)
    masks[3] = False
    scores = [0.2, 0.7, 0.5, 0.9, 0.7]
    assert best_frames(masks, scores, 1) == [1]
    assert best_frames(masks, scores, 3) == [1, 4, 2]
    assert best_frames(masks, scores, 9) == [1, 4, 2, 0]
    assert best_frames(np.zeros((2, 1, 1)), [0.5, 0.6], 1) == []


def one_pixel(*values):
    return Track.encode(np.array(values, bool)[:, None, None])


def test_a_majority_decides_and_the_best_key_frame_breaks_ties():
    # All combinations of two, then of three voters: best key frame, (next key frame,) per frame.
    best, per_frame = one_pixel(0, 0, 1, 1), one_pixel(0, 1, 0, 1)
    assert fuse([best], per_frame, "majority") == best
    tracks = [one_pixel(*((n >> bit) & 1 for n in range(8))) for bit in range(3)]
    fused = fuse(tracks[:2], tracks[2], "majority")
    assert fused == one_pixel(*(n.bit_count() > 1 for n in range(8)))
    four = [one_pixel(*((n >> bit) & 1 for n in range(16))) for bit in range(4)]
    fused = fuse(four[:3], four[3], "majority")
    expected = [n.bit_count() > 2 or (n.bit_count() == 2 and n & 1) for n in range(16)]
    assert fused == one_pixel(*expected)


def test_a_union_has_what_any_track_has():
    assert fuse([one_pixel(1, 0, 0)], one_pixel(0, 1, 0), "union") == one_pixel(1, 1, 0)


# --- the whole way -------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A tiny UNINEXT and the small Cutie, both random, as their authors' files look."""
    folder = tmp_path_factory.mktemp("weights")
    write_checkpoint(folder / "uninext")
    torch.save(weights("small"), folder / "cutie-small-mega.pth")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write_recipe(folder, checkpoints, more=""):
    path = folder / "seed.toml"
    path.write_text(
        f"""
[[expert]]
name = "uninext-cutie"
kind = "uninext-cutie"
uninext = "{checkpoints / "uninext"}"
cutie = "{checkpoints / "cutie-small-mega.pth"}"
{more}
"""
    )
    return str(path)


def call(verb, recipe, split, run, *words):
    data = ["--data", str(split.root), "--split", split.name]
    return main([verb, "--recipe", recipe, "--run", str(run), "--device", "cpu", *data, *words])


def test_a_recipe_goes_from_frames_to_a_checked_zip(split, checkpoints, tmp_path, capsys):
    quick = write_recipe(tmp_path, checkpoints, "mem_every = 1")  # one step of Cutie is a cycle
    assert call("submit", quick, split, tmp_path / "run", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "never published" in said
    assert "UNINEXT detection" in said.partition("most of the work")[2]
    assert "unknown, its kind" not in said
    recipe = write_recipe(tmp_path, checkpoints, "key_frames = 2")
    assert call("submit", recipe, split, tmp_path / "run", "--quiet") == 0
    assert json.loads((tmp_path / "run/check.json").read_text())["ok"]
    assert (tmp_path / "run/submission.zip").is_file()
    store = PredictionStore(tmp_path / "run/predictions")
    for video in split.videos:
        for expression in video.expressions:
            stored = store.read("uninext-cutie", video, expression)
            same = by_hand(split, checkpoints, video, expression.sentence)
            assert stored.track == same["track"]
            assert stored.details["confidence"] == pytest.approx(same["scores"], abs=1e-4)
            assert stored.details["key_frames"] == same["keys"]
    # A second run finds everything done; one with another setting is refused.
    before = (tmp_path / "run/submission.zip").read_bytes()
    assert call("submit", recipe, split, tmp_path / "run", "--quiet") == 0
    assert (tmp_path / "run/submission.zip").read_bytes() == before
    other = write_recipe(tmp_path, checkpoints, "key_frames = 1")
    assert call("submit", other, split, tmp_path / "run", "--quiet") == 2
    assert "key_frames" in capsys.readouterr().err


def by_hand(split, checkpoints, video, sentence):
    """The method as its parts are called from Python, one sentence alone."""
    frames = open_frames(split).read(video)
    uninext = uninext_loading.load(checkpoints / "uninext", "cpu", "float32")
    found = [uninext.segment_image(frame, sentence) for frame in frames]
    masks = np.stack([one.mask for one in found])
    scores = [round(one.score, 4) for one in found]
    keys = best_frames(masks, scores, 2)
    cutie = cutie_loading.load(checkpoints / "cutie-small-mega.pth", "cpu", "float32")
    carried = [
        cutie.propagate(
            frames, {key: masks[key].astype(np.uint8)}, CutieSettings(max_internal_size=480)
        )
        for key in keys
    ]
    tracks = [Track.encode(one.ids > 0) for one in carried]
    track = fuse(tracks, Track.encode(masks), "majority") if keys else Track.encode(masks)
    return {"track": track, "scores": scores, "keys": keys}


def test_each_frame_is_encoded_once_for_all_sentences(split, checkpoints, tmp_path, monkeypatch):
    from submission.models.uninext.model import Uninext

    seen = []
    encode = Uninext.encode_image

    def watched(self, image):
        seen.append(image.shape)
        return encode(self, image)

    monkeypatch.setattr(Uninext, "encode_image", watched)
    recipe = write_recipe(tmp_path, checkpoints)
    assert call("predict", recipe, split, tmp_path / "run", "--quiet") == 0
    frames = sum(len(video.frame_names) for video in split.videos)
    assert seen == [(*FRAME_SIZE.size(24, 40), 3)] * frames


def test_a_sentence_that_is_nowhere_has_an_empty_track_and_a_reason(
    split, checkpoints, tmp_path, monkeypatch
):
    from submission.models.uninext import model

    paint = model.paint
    monkeypatch.setattr(model, "paint", lambda *words: paint(*words) & False)
    recipe = write_recipe(tmp_path, checkpoints)
    assert call("predict", recipe, split, tmp_path / "run", "--quiet") == 0
    video = split.videos[0]
    stored = PredictionStore(tmp_path / "run/predictions").read(
        "uninext-cutie", video, video.expressions[0]
    )
    assert stored.track.is_empty
    assert stored.details["why_empty"] == "UNINEXT found no mask in any frame"


def test_when_a_gpu_is_full_fewer_sentences_go_at_once(
    split, checkpoints, tmp_path, monkeypatch, capsys
):
    from submission.models.cutie.model import Cutie
    from submission.models.uninext.model import Uninext

    detect, carry = Uninext.detect, Cutie.propagate_each

    def want_one_sentence(self, *words):
        if self.sentences_at_once > 1:
            raise torch.OutOfMemoryError
        return detect(self, *words)

    def want_one_mask(self, frames, masks, settings, **more):
        if len(masks) > 1:
            raise torch.OutOfMemoryError
        return carry(self, frames, masks, settings, **more)

    recipe = write_recipe(tmp_path, checkpoints)
    assert call("predict", recipe, split, tmp_path / "free", "--quiet") == 0
    monkeypatch.setattr(Uninext, "detect", want_one_sentence)
    monkeypatch.setattr(Cutie, "propagate_each", want_one_mask)
    assert call("predict", recipe, split, tmp_path / "full", "--quiet") == 0
    said = capsys.readouterr().err
    assert "going on with 1 sentence at once" in said
    assert "going on with 1 of 3 candidates at once" in said
    stores = [PredictionStore(tmp_path / run / "predictions") for run in ("free", "full")]
    for video in split.videos:
        for one in video.expressions:
            ours, others = (store.read("uninext-cutie", video, one).track for store in stores)
            assert ours == others


def test_the_page_names_the_expert_with_its_key_frames_and_files(split, checkpoints, tmp_path):
    recipe = write_recipe(tmp_path, checkpoints)
    assert call("submit", recipe, split, tmp_path / "run", "--quiet") == 0
    page = (tmp_path / "run/report/index.html").read_text()
    assert "uninext-cutie, 3 files, sha256 " in page
    assert "sha256 unknown" not in page


@pytest.mark.slow
def test_a_run_that_is_killed_ends_as_an_undisturbed_one(split, checkpoints, tmp_path):
    recipe, run = write_recipe(tmp_path, checkpoints, "key_frames = 2"), tmp_path / "run"
    words = ["submit", "--recipe", recipe, "--run", str(run), "--device", "cpu", "--quiet",
             "--data", str(split.root), "--split", split.name]  # fmt: skip
    assert run_until_killed(words, ROOT, "nowhere", 1) == 0
    undisturbed = (run / "submission.zip").read_bytes()
    run.rename(tmp_path / "undisturbed")
    place = "/predictions/uninext-cutie/"
    assert run_until_killed(words, ROOT, place, 3) == -signal.SIGKILL
    assert not (run / "submission.zip").exists()
    assert run_until_killed(words, ROOT, "nowhere", 1) == 0
    assert (run / "submission.zip").read_bytes() == undisturbed


# --- what is refused -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("short_side = 4", "short_side"),
        ("key_frames = 0", "key_frames"),
        ('fusion = "best"', "fusion"),
        ("frames = 5", "frames: unknown key"),
    ],
)
def test_settings_that_mean_nothing_are_refused(split, checkpoints, tmp_path, capsys, more, says):
    recipe = write_recipe(tmp_path, checkpoints, more)
    assert call("predict", recipe, split, tmp_path / "run") == 2
    assert says in capsys.readouterr().err


def test_a_missing_vocabulary_is_said_with_the_command_that_fetches_it(
    split, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("MEVIS_WEIGHTS", str(tmp_path / "none"))
    write_checkpoint(tmp_path / "uninext")
    (tmp_path / "uninext/vocab.txt").unlink()
    torch.save({"a": torch.ones(1)}, tmp_path / "cutie-small-mega.pth")
    recipe = write_recipe(tmp_path, tmp_path)
    assert call("predict", recipe, split, tmp_path / "run") == 2
    assert "weights fetch bert-base-uncased" in capsys.readouterr().err


def test_swapped_files_are_refused_in_a_sentence(split, checkpoints, tmp_path, capsys):
    recipe = tmp_path / "swapped.toml"
    recipe.write_text(
        f"""
[[expert]]
name = "a"
kind = "uninext-cutie"
uninext = "{checkpoints / "uninext"}"
cutie = "{checkpoints / "uninext"}"
"""
    )
    assert call("predict", str(recipe), split, tmp_path / "run", "--quiet") == 2
    assert "these are not weights of Cutie" in capsys.readouterr().err
