"""Kinds of experts: ours, the one to copy, and one that somebody's package brings along."""

import re
from pathlib import Path

import numpy as np
import pytest

from submission.cli import main
from submission.errors import FaultyInput, InputError
from submission.experts import registry
from submission.masks.store import PredictionStore
from submission.recipes.find import read_recipe

PAGE = Path(__file__).parents[2] / "docs/experts.md"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a package with a module and an entry point where Python looks for packages."""

    def put(module: str, kind: str, code: str) -> None:
        folder = tmp_path / "site"
        info = folder / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{module}.py").write_text(code)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{kind} = {module}\n")
        monkeypatch.syspath_prepend(str(folder))

    return put


def recipe(folder: Path, kind: str, more: str = "") -> str:
    path = folder / "it.toml"
    path.write_text(f'[[expert]]\nname = "one"\nkind = "{kind}"\n{more}\n')
    return str(path)


def predict(split, folder: Path, path: str, *words: str) -> PredictionStore:
    data = ["--data", str(split.root), "--split", split.name, "--device", "cpu"]
    run = folder / "run"
    assert main(["predict", "--recipe", path, "--run", str(run), *data, *words]) == 0
    return PredictionStore(run / "predictions")


def test_every_kind_of_ours_is_one():
    for name in registry.KINDS:
        kind = registry.find_kind(name)
        assert issubclass(kind.Settings, object)
        assert callable(kind.build)


def test_the_example_finds_what_is_bright(split, tmp_path, capsys):
    path = recipe(tmp_path, "example", "threshold = 100")
    predict(split, tmp_path, path, "--dry-run")
    assert "one: unknown, its kind does not say what it takes" in capsys.readouterr().out
    store = predict(split, tmp_path, path)
    video = split.videos[0]
    masks = store.read("one", video, video.expressions[0]).track.decode()
    assert 0 < masks.mean() < 1
    assert store.identity("one")["threshold"] == 100
    again = recipe(tmp_path, "example", "threshold = 101")
    data = ["--data", str(split.root), "--split", split.name, "--device", "cpu"]
    assert main(["predict", "--recipe", again, "--run", str(tmp_path / "run"), *data]) == 2
    assert "threshold: 100 then, 101 now" in capsys.readouterr().err


def test_the_package_of_the_page_can_be_installed_and_run(split, tmp_path, install):
    (code,) = re.findall(r"(?ms)^```python\n(.*?)^```", PAGE.read_text())
    (toml,) = (text for text in re.findall(r"(?ms)^```toml\n(.*?)^```", PAGE.read_text())
               if "entry-points" in text)  # fmt: skip
    assert f'[project.entry-points."{registry.GROUP}"]\nedges = "mevis_edges"' in toml
    assert sum(bool(line) for line in code.splitlines()) <= 30
    with pytest.raises(FaultyInput, match='no kind of expert "edges"; known: sa2va, masks'):
        read_recipe(recipe(tmp_path, "edges"))
    install("mevis_edges", "edges", code)
    with pytest.raises(FaultyInput, match="steepness: it is 'x'; it must be a number"):
        read_recipe(recipe(tmp_path, "edges", 'steepness = "x"'))
    store = predict(split, tmp_path, recipe(tmp_path, "edges", "steepness = 30"))
    assert store.unanswered("one", split) == []
    video = split.videos[1]
    prediction = store.read("one", video, video.expressions[0])
    assert prediction.details == {"text": "edges"}
    assert np.count_nonzero(prediction.track.decode())


def test_a_kind_of_ours_cannot_be_taken_over(install):
    install("mevis_impostor", "masks", "raise RuntimeError('it was imported')")
    assert registry.find_kind("masks").__name__ == "submission.experts.mask_files"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import nowhere_to_be_found", "cannot be imported from mevis_broken: ModuleNotFoundError"),
        ("def build(): ...", "has no Settings: its entry point must name a module that has both"),
    ],
)
def test_a_broken_kind_is_told(install, code, words):
    install("mevis_broken", "broken", code)
    with pytest.raises(InputError, match=words):
        registry.find_kind("broken")
    import sys

    sys.modules.pop("mevis_broken", None)
