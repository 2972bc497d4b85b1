"""Experts share models, frames and image features; every byte is as if each had run alone."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from models.checkpoints import copy_checkpoint, original_sam2, with_one_decoder
from tiny_split import write_meta

from submission.cli import main
from submission.experts.sa2va.source import Source
from submission.files.sealed_json import read_sealed
from submission.models.sam2.network import GroundingNetwork
from submission.recipes.find import PACKAGED
from submission.video.frame_loader import FrameLoader
from submission.weights.tensors import IMAGE_ENCODER, hash_tensors

SAMPLES = PACKAGED.parent / "samples"
CHECKPOINT = SAMPLES / "small-5"
FRAMES = 8  # of the first clip, the others are left out


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """The beginning of the sample's first clip, with two of its sentences."""
    root = tmp_path_factory.mktemp("data")
    source, target = SAMPLES / "mevis/valid_u", root / "valid"
    clip = json.loads((source / "meta_expressions.json").read_text())["videos"]["clip_00"]
    frames = target / "JPEGImages/clip_00"
    frames.mkdir(parents=True)
    for name in clip["frames"][:FRAMES]:
        shutil.copy(source / f"JPEGImages/clip_00/{name}.jpg", frames)
    kept = {
        name: {"exp": clip["expressions"][name]["exp"]} for name in list(clip["expressions"])[:2]
    }
    video = {"frames": clip["frames"][:FRAMES], "expressions": kept}
    write_meta(target, {"videos": {"clip_00": video}})
    return root


@pytest.fixture
def work(tmp_path, monkeypatch) -> dict[str, int]:
    """Counts of frames decoded, frames that passed an image encoder, and models loaded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    counted = {"decoded": 0, "encoded": 0, "loaded": 0}
    encode, close = GroundingNetwork.encode_levels, FrameLoader.close
    load = Source.load

    def count_encoded(network, pixels):
        counted["encoded"] += len(pixels)
        return encode(network, pixels)

    def count_decoded(loader):
        counted["decoded"] += loader.decoded
        close(loader)

    def count_loaded(expert):
        counted["loaded"] += 1
        return load(expert)

    monkeypatch.setattr(GroundingNetwork, "encode_levels", count_encoded)
    monkeypatch.setattr(FrameLoader, "close", count_decoded)
    monkeypatch.setattr(Source, "load", count_loaded)
    return counted


@pytest.fixture
def write_recipe(data) -> Callable[..., Path]:
    """Write a recipe on that clip."""
    return partial(_write_recipe, data)


def _write_recipe(
    data: Path, path: Path, members: dict[str, tuple[Path, int]], compute: str = ""
) -> Path:
    """Write a recipe of experts: name -> (checkpoint, number of key frames)."""
    tables = [
        f'[[expert]]\nname = "{name}"\ncheckpoint = "{folder}"\nframes = {frames}\n'
        for name, (folder, frames) in members.items()
    ]
    where = f'[data]\nroot = "{data}"\nsplit = "valid"\n'
    path.write_text("".join([where, *tables, f"[compute]\n{compute}\n"]))
    return path


def predict(recipe: Path, run: Path, *words: str) -> None:
    assert main(["predict", "--recipe", str(recipe), "--run", str(run), *words]) == 0


def answers(run: Path) -> dict[str, bytes]:
    paths = (run / "predictions").glob("*/*/*.json")
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in paths}


def change(part: str):
    """A change of all tensors whose names begin so."""

    def edit(config, tensors):
        for name in tensors:
            if name.startswith(part):
                tensors[name] = tensors[name] * 1.2

    return edit


ALONE = 'share_features = "off"'


@pytest.mark.parametrize(
    "compute", ["", "features_gb = 0.0005", "frames_gb = 0.0", "features_gb = 0"]
)
def test_one_checkpoint_looks_at_a_video_once(tmp_path, work, write_recipe, compute):
    members = {"u5": (CHECKPOINT, 5), "u3": (CHECKPOINT, 3)}
    predict(write_recipe(tmp_path / "together.toml", members, compute), tmp_path / "together")
    together = dict(work)
    work.update(dict.fromkeys(work, 0))
    predict(write_recipe(tmp_path / "alone.toml", members, ALONE), tmp_path / "alone")
    assert work == {"decoded": 2 * FRAMES, "encoded": 2 * FRAMES, "loaded": 1}
    assert answers(tmp_path / "together") == answers(tmp_path / "alone")
    if not compute:
        assert together == {"decoded": FRAMES, "encoded": FRAMES, "loaded": 1}
    elif compute.startswith("features"):
        assert together["encoded"] > FRAMES  # the room bounds memory: some are encoded again


@pytest.mark.parametrize(
    ("part", "shared"), [("text_hidden_fcs", True), (IMAGE_ENCODER, False)], ids=["head", "encoder"]
)
def test_other_checkpoints_share_what_their_equal_image_encoders_see(
    tmp_path, work, write_recipe, part, shared
):
    other = copy_checkpoint(CHECKPOINT, tmp_path / "other", change(part))
    members = {"a": (CHECKPOINT, 5), "b": (other, 5)}
    equal = hash_tensors(CHECKPOINT, IMAGE_ENCODER) == hash_tensors(other, IMAGE_ENCODER)
    assert equal == shared
    predict(write_recipe(tmp_path / "together.toml", members), tmp_path / "together")
    frames = FRAMES if shared else 2 * FRAMES
    assert work == {"decoded": frames, "encoded": frames, "loaded": 2}
    predict(write_recipe(tmp_path / "alone.toml", members, ALONE), tmp_path / "alone")
    assert answers(tmp_path / "together") == answers(tmp_path / "alone")
    said = answers(tmp_path / "alone")
    told = {name: [said[path] for path in sorted(said) if f"/{name}/" in path] for name in "ab"}
    assert told["a"] != told["b"]  # else equal bytes would say nothing


def test_two_procedures_of_one_checkpoint_use_one_model(tmp_path, work, write_recipe):
    """The model that is loaded with SAM 2's own decoder answers for both, as each would alone."""
    plain = with_one_decoder(tmp_path / "plain")
    torch.save({"model": original_sam2()}, tmp_path / "sam2.pt")
    second = f'procedure = "sa2va-i"\nsam2 = "{tmp_path / "sam2.pt"}"\n'
    members = {"a": (plain, 3), "b": (plain, 3)}

    def recipe(*names: str) -> Path:
        path = write_recipe(tmp_path / "it.toml", {name: members[name] for name in names})
        path.write_text(path.read_text().replace('name = "b"\n', f'name = "b"\n{second}'))
        return path

    predict(recipe("a", "b"), tmp_path / "together")
    assert work == {"decoded": FRAMES, "encoded": FRAMES, "loaded": 1}
    for name in members:
        predict(recipe(name), tmp_path / "alone")
    together = answers(tmp_path / "together")
    assert together == answers(tmp_path / "alone")
    for told in map(json.loads, together.values()):
        sure = told["confidence"]
        assert len(sure) == len(told["masks"]) == FRAMES
        assert sure == [round(one, 3) for one in sure]
        assert 0 <= min(sure) < max(sure) <= 1
    assert len(set(together.values())) == len(together)  # else equal bytes would say nothing


def test_models_that_do_not_fit_side_by_side_go_one_after_another(
    tmp_path, work, write_recipe, monkeypatch
):
    other = copy_checkpoint(CHECKPOINT, tmp_path / "other", change("text_hidden_fcs"))
    monkeypatch.setattr("submission.pipeline.prepare.memory_of", lambda device: 20_000_000)
    members = {"a": (CHECKPOINT, 3), "b": (other, 3), "c": (CHECKPOINT, 4)}
    predict(write_recipe(tmp_path / "recipe.toml", members), tmp_path / "run")
    assert work == {"decoded": 2 * FRAMES, "encoded": 2 * FRAMES, "loaded": 2}


def test_what_one_expert_lost_is_answered_again_with_the_same_bytes(tmp_path, work, write_recipe):
    members = {"u5": (CHECKPOINT, 5), "u3": (CHECKPOINT, 3)}
    recipe = write_recipe(tmp_path / "recipe.toml", members)
    predict(recipe, tmp_path / "run")
    before = answers(tmp_path / "run")
    shutil.rmtree(tmp_path / "run/predictions/u3/clip_00")
    predict(recipe, tmp_path / "run")
    assert answers(tmp_path / "run") == before
    assert work["encoded"] == 2 * FRAMES


def test_a_hash_of_tensors_is_remembered_with_the_state_of_the_files(tmp_path, work):
    folder = copy_checkpoint(CHECKPOINT, tmp_path / "one")
    first = hash_tensors(folder, IMAGE_ENCODER)
    memory = tmp_path / "cache/mevis-submission/tensors.json"
    known = json.loads(memory.read_text())
    forged = {key: [*entry[:-1], "forged"] for key, entry in known.items()}
    memory.write_text(json.dumps(forged))
    assert hash_tensors(folder, IMAGE_ENCODER) == "forged"
    assert hash_tensors(folder, IMAGE_ENCODER, again=True) == first
    memory.write_text(json.dumps(forged))
    (folder / "model.safetensors").touch()
    assert hash_tensors(folder, IMAGE_ENCODER) == first
    assert hash_tensors(folder, "nothing begins so") == ""


def test_a_run_says_how_long_the_model_waited(tmp_path, write_recipe, capsys):
    recipe = write_recipe(tmp_path / "recipe.toml", {"u3": (CHECKPOINT, 3)})
    predict(recipe, tmp_path / "run", "-v")
    said = capsys.readouterr().err
    assert f"({FRAMES} were decoded)" in said
    assert "the model waited" in said


def test_a_dry_run_foresees_what_is_shared_and_saved(tmp_path, write_recipe, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    equal = copy_checkpoint(CHECKPOINT, tmp_path / "equal", change("text_hidden_fcs"))
    other = copy_checkpoint(CHECKPOINT, tmp_path / "other", change(IMAGE_ENCODER))
    members = {"a": (CHECKPOINT, 5), "b": (equal, 5), "c": (CHECKPOINT, 3), "d": (other, 5)}
    recipe = write_recipe(tmp_path / "recipe.toml", members)
    predict(recipe, tmp_path / "run", "--dry-run")
    shared = [line for line in capsys.readouterr().out.splitlines() if line.startswith("shared")]
    assert shared == [
        "shared     a, b, c: frames and image features; their image encoders are equal, and "
        "2 models are loaded side by side",
        f"shared     {2 * FRAMES} frames decoded and encoded for SAM 2, instead of {4 * FRAMES}",
    ]
    predict(write_recipe(recipe, members, ALONE), tmp_path / "run", "--dry-run")
    assert "shared     nothing" in capsys.readouterr().out
    recipe.write_text(recipe.read_text().replace(str(other), "Sa2VA-8B").replace(ALONE, ""))
    predict(recipe, tmp_path / "run", "--dry-run")
    assert "Sa2VA-8B: not fetched yet" in capsys.readouterr().out


def test_asking_whether_it_is_there_is_kept_beside_an_equal_answer(tmp_path, work, write_recipe):
    """It is part of what an expert is only where it is on; the masks stay as they are."""
    path = write_recipe(tmp_path / "my.toml", {"silent": (CHECKPOINT, 5), "asked": (CHECKPOINT, 5)})
    words = path.read_text()
    path.write_text(words.replace("[compute]", "ask = true\n[compute]"))
    predict(path, tmp_path / "run")
    stored = tmp_path / "run/predictions"
    settings = [
        json.loads((stored / name / "expert.json").read_text())["settings"]
        for name in ("silent", "asked")
    ]
    assert settings[0] | {"ask": True} == settings[1] != settings[0]
    [silent, asked] = [
        sorted((stored / name / "clip_00").iterdir()) for name in ("silent", "asked")
    ]
    assert len(silent) == len(asked) == 2
    for one, other in zip(silent, asked, strict=True):
        with_odds, without = read_sealed(other), read_sealed(one)
        assert 0 <= with_odds.pop("p_yes") <= 1
        assert with_odds.pop("made_by") != without.pop("made_by")
        assert with_odds == without
