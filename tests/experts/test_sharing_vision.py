"""Experts with equal vision encoders of Qwen-VL look at a key frame once between them."""

import json
from pathlib import Path

import pytest
from models.plain_qwenvl import WEIGHTS, write_sa2va
from safetensors.torch import load_file, save_file
from tiny_split import write_meta

from submission.cli import main
from submission.dataset.mevis import Split
from submission.models.sa2va.qwenvl import vision

PIXELS = "min_pixels = 3136\nmax_pixels = 12544\nmax_new_tokens = 4\n"


@pytest.fixture
def seen(tmp_path, monkeypatch) -> list[tuple[int, int]]:
    """The grid of every image that passes a vision encoder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    see, found = vision.see, []

    def count(encoder, patches, grid):
        found.append(grid)
        return see(encoder, patches, grid)

    monkeypatch.setattr(vision, "see", count)
    return found


def change(folder: Path, source: Path, key: str) -> Path:
    """Copy a checkpoint with one tensor changed."""
    folder.mkdir()
    for file in source.iterdir():
        if file.name != WEIGHTS:
            (folder / file.name).write_bytes(file.read_bytes())
    tensors = load_file(source / WEIGHTS)
    tensors[key] = tensors[key] + 0.5
    save_file(tensors, folder / WEIGHTS)
    return folder


def predict(tmp_path: Path, split: Split, name: str, experts: dict[str, tuple[str, int]]) -> Path:
    tables = [f'[data]\nroot = "{split.root}"\nsplit = "{split.name}"\n[compute]\ndevice = "cpu"\n']
    tables += [
        f'[[expert]]\nname = "{expert}"\ncheckpoint = "./{folder}"\nframes = {frames}\n{PIXELS}'
        for expert, (folder, frames) in experts.items()
    ]
    recipe, run = tmp_path / f"{name}.toml", tmp_path / name
    recipe.write_text("".join(tables))
    assert main(["predict", "--quiet", "--recipe", str(recipe), "--run", str(run)]) == 0
    return run


def text_and_masks(run: Path, expert: str) -> list[str]:
    found = sorted((run / "predictions" / expert).glob("*/*.json"))
    return [file.read_text() for file in found]


def test_one_look_at_a_frame_for_all_with_equal_encoders(tmp_path, split, split_folder, seen):
    values = json.loads((split_folder / "meta_expressions.json").read_text())
    del values["videos"]["cups"]
    write_meta(split_folder, values)
    write_sa2va(tmp_path / "a")
    change(tmp_path / "tuned", tmp_path / "a", "model.model.language_model.norm.weight")
    change(tmp_path / "other", tmp_path / "a", "model.model.visual.patch_embed.proj.bias")
    experts = {"two": ("a", 2), "three": ("a", 3), "tuned": ("tuned", 2), "other": ("other", 2)}
    together = predict(tmp_path, split, "together", experts)
    # Frames 0 and 2 for all with this encoder, frame 1 for one of them, and two for the other.
    assert len(seen) == 3 + 2
    seen.clear()
    for name in ("three", "tuned"):
        alone = predict(tmp_path, split, name, {name: experts[name]})
        assert text_and_masks(alone, name) == text_and_masks(together, name)
    assert len(seen) == 3 + 2


def test_nothing_is_kept_above_the_budget(tmp_path, split, seen):
    from submission.models.sa2va.kept_images import KeptImages

    class Features:
        nbytes = 60

    made = []
    kept = KeptImages(100)

    def of(value: int):
        import numpy as np

        image = np.full((2, 2, 3), value, np.uint8)
        return kept.of(image, lambda: made.append(value) or Features())

    assert of(1) is of(1)
    assert of(2) is not of(2)
    assert made == [1, 2, 2]
    kept.close()
    of(1)
    assert made == [1, 2, 2, 1]
