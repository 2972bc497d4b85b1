"""What a run needs is opened before any model is made: each broken thing is told, all at once."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from models.checkpoints import TINY

import submission
from submission.cli import main
from submission.models.sa2va import loading

SMALL = Path(submission.__file__).parent / "samples" / "small-5"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 5\n"
LONG = "the red one " * 4000


@pytest.fixture(autouse=True)
def no_model(monkeypatch):
    """Fail where a model is made."""

    def load(folder, *args, **named):
        raise AssertionError(f"{folder} is loaded")

    monkeypatch.setattr(loading, "load", load)


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """The small checkpoint, to be broken."""
    return Path(shutil.copytree(SMALL, tmp_path / "broken"))


@pytest.fixture
def call(tmp_path, split_folder, capsys):
    """Call `submit` with experts of these lines, dry and in earnest; return what was said."""

    def run(*experts: str, status: int = 2, verbs: tuple[str, ...] = ("--dry-run", "")) -> str:
        lines = (
            f'[[expert]]\nname = "{name}"\n{words}\n'
            for name, words in zip("abc", experts, strict=False)
        )
        recipe = tmp_path / "own.toml"
        recipe.write_text("".join(lines) + '[compute]\ndevice = "cpu"\n')
        data = ["--data", str(split_folder.parent), "--split", "valid_u"]
        said = []
        for more in verbs:
            words = ["submit", "--recipe", str(recipe), *data, "--run", str(tmp_path / "run")]
            assert main([*words, *filter(None, [more])]) == status
            said.append(capsys.readouterr())
        assert len({one.err for one in said}) == 1 or status == 0
        assert status == 0 or not (tmp_path / "run" / "predictions").exists()
        return said[0].err if status else said[0].out

    return run


def pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text(POINTER)


def missing_shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    names = {"x": "model-00001-of-00002.safetensors", "y": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def truncated(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-8])


def dangling_link(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("../../blobs/" + "a" * 64)


def hub_cache_root(folder: Path) -> None:
    snapshot = folder / "snapshots" / ("b" * 40)
    files = list(folder.iterdir())
    snapshot.mkdir(parents=True)
    for file in files:
        file.rename(snapshot / file.name)


def tokenizer_is_a_pointer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text(POINTER)


def other_language_model(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["llm_config"]["num_hidden_layers"] += 1
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (pointer, "model.safetensors: not a whole safetensors file: a git-lfs pointer"),
        (missing_shard, "model-00002-of-00002.safetensors: is missing"),
        (truncated, "model.safetensors: not a whole safetensors file"),
        (dangling_link, "a link to ../../blobs/" + "a" * 64 + ", which is not there"),
        (hub_cache_root, "a cache of the Hub; the checkpoint is the folder below it"),
        (tokenizer_is_a_pointer, "tokenizer.json: a git-lfs pointer instead of the file"),
        (other_language_model, "language_model.model.layers.5.input_layernorm.weight: is missing"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_checkpoint_is_told_before_any_model_is_made(checkpoint, call, damage, words):
    damage(checkpoint)
    said = call('checkpoint = "broken"')
    assert "expert a: checkpoint broken: " in said
    assert words in said


def test_a_whole_checkpoint_passes_the_dry_run(checkpoint, call):
    assert "expert     a: " in call('checkpoint = "broken"', status=0, verbs=("--dry-run",))


def test_everything_is_told_at_once_and_what_experts_share_once(checkpoint, call, split, tmp_path):
    pointer(checkpoint)
    tokenizer_is_a_pointer(checkpoint)
    said = call('checkpoint = "broken"', 'checkpoint = "broken"\nframes = 2', 'masks = "none.zip"')
    assert said.count("git-lfs pointer") == 2
    assert "experts a, b: checkpoint broken: " in said
    assert "model.safetensors" in said
    assert "tokenizer.json" in said
    assert f"expert c: masks: {tmp_path / 'none.zip'}: no such file or folder" in said


@pytest.mark.parametrize("content", [POINTER.encode(), b"PK\x03\x04 cut off"])
def test_a_broken_file_of_cutie_is_told_with_the_others(call, answer, tmp_path, content):
    (tmp_path / "cutie.pth").write_bytes(content)
    said = call(f'masks = "{answer}"', 'kind = "propagate"\nafter = "a"\ncutie = "cutie.pth"')
    assert f"expert b: checkpoint cutie.pth: {tmp_path / 'cutie.pth'}" in said
    assert "not a whole .pth file of weights" in said


def test_what_is_no_sam_2_beside_a_checkpoint_is_told(call, tmp_path):
    (tmp_path / "sam2.pt").write_bytes(b"PK\x03\x04 cut off")
    said = call(f'checkpoint = "{TINY}"\nprocedure = "sa2va-i"\nsam2 = "sam2.pt"')
    assert f"{tmp_path / 'sam2.pt'}: cannot be opened as SAM 2 weights" in said


def test_settings_that_contradict_the_checkpoint_are_told(call):
    said = call(
        f'checkpoint = "{TINY}"\nprocedure = "sa2va-i"', f'checkpoint = "{SMALL}"\nmin_pixels = 9'
    )
    assert '"sa2va-i" needs a second mask decoder' in said
    assert "min_pixels: it has no effect with a checkpoint of the InternVL kind" in said


def test_a_sentence_longer_than_the_context_is_named(call, split_folder):
    path = split_folder / "meta_expressions.json"
    values = json.loads(path.read_text())
    values["videos"]["dogs"]["expressions"]["2"]["exp"] = LONG
    path.write_text(json.dumps(values))
    said = call(f'checkpoint = "{SMALL}"')
    assert (
        'video dogs, expression 2: "the red one the red one the red one t..." is too long' in said
    )
    assert "shorten the sentence" in said
    assert "set frames" not in said
    assert said.count("too long") == 1


def test_masks_zipped_with_the_folder_around_them_are_read(answer, call, tmp_path):
    with zipfile.ZipFile(tmp_path / "around.zip", "w") as archive:
        for file in sorted(answer.rglob("*.png")):
            archive.write(file, f"Annotations/{file.relative_to(answer).as_posix()}")
    call('masks = "around.zip"', status=0)
    assert (tmp_path / "run/submission.zip").is_file()


def test_a_truth_with_uncompressed_runs_is_scored(answer, call, split_folder, tmp_path):
    path = split_folder / "mask_dict.json"
    masks = json.loads(path.read_text())
    masks["9"] = [{"size": [24, 40], "counts": [144, 192, 624]} for _ in range(2)]
    path.write_text(json.dumps(masks))
    call(f'masks = "{answer}"', status=0)
    assert json.loads((tmp_path / "run/score.json").read_text())


def test_no_fault_of_the_truth_ends_a_dry_run_or_a_run(answer, call, split_folder, tmp_path):
    (split_folder / "mask_dict.json").write_text('{"7": [{"size": [24, 40], "counts": "b\'x\'"}]}')
    call(f'masks = "{answer}"', status=0)
    assert (tmp_path / "run/report/index.html").is_file()
    assert not (tmp_path / "run/score.json").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ('"Sa2VA-8B"\nmin_pixels = 3', "min_pixels: it has no effect"),
        ('"Sa2VA-Qwen3-VL-4B"\nprocedure = "sasasa2va"', "for which no Qwen-VL checkpoint"),
        (
            '"Qwen3-VL-4B"',
            "a plain Qwen-VL, which gives no masks; [gate] takes it as judge; did you",
        ),
        ('"Sa2VA-8B"\nprocedure = "sa2va-i"', "needs a second mask decoder"),
        ('"Sa2VA-8B"\nprocedure = "sa2va-i"\nsam2 = "SAM2-hiera-large"', ""),
        ('"Sa2VA-i-8B"\nprocedure = "sa2va-i"', ""),
    ],
)
def test_settings_that_do_not_fit_are_told_before_a_released_checkpoint_is_fetched(
    call, tmp_path, monkeypatch, words, says
):
    for name in ("MEVIS_WEIGHTS", "HF_HUB_CACHE"):  # where nothing lies
        monkeypatch.setenv(name, str(tmp_path / "none"))
    said = call(f"checkpoint = {words}", status=2 if says else 0, verbs=("--dry-run",))
    assert says in said
    assert ("not fetched" in said) is not bool(says)
