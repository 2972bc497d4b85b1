"""Selected frames in a recipe: what the file may hold, and expressions grouped by what they see."""

import json

import pytest
from models.cases import REFERENCE

from submission.cli import main
from submission.dataset.records import Expression, Video
from submission.experts.sa2va.selected_frames import SelectedFrames
from submission.experts.sa2va.source import Source
from submission.models.sa2va.loading import load

FIRST, LAST = [0] * 100, [0] * 99 + [1]


def video(name: str, length: int, *ids: str) -> Video:
    expressions = tuple(Expression(name, one, f"sentence {one}") for one in ids)
    return Video(name, tuple(map(str, range(length))), (8, 8), expressions)


def written(tmp_path, content) -> SelectedFrames:
    path = tmp_path / "selected.json"
    path.write_text(json.dumps(content))
    return SelectedFrames(path)


def test_the_frames_of_an_expression(tmp_path):
    table = {"0": [3] * 100, "1": list(range(100)), "other": []}
    clip = video("clip", 100, "0", "1")
    selected = written(tmp_path, {"clip": {"selected_frames": table}})
    assert selected.faults([clip]) == []
    found = [selected.of(clip, expression) for expression in clip.expressions]
    assert found == [(3,) * 100, tuple(range(100))]


def test_everything_that_is_wrong_is_told_at_once(tmp_path):
    table = {"0": [0] * 99, "1": [0] * 99 + [7], "3": ["0"] * 100, "4": [-1] * 100}
    selected = written(tmp_path, {"clip": {"selected_frames": table}, "bare": {}})
    videos = [video("clip", 7, "0", "1", "2", "3", "4"), video("bare", 7, "0"), video("no", 7, "0")]
    assert [str(fault) for fault in selected.faults(videos)] == [
        "video clip, expression 0: 99 frames; they must be 100",
        "video clip, expression 1: frame 7; the video has 7, counted from 0",
        f"video clip, expression 2: no frames are selected for it in {selected.path}",
        "video clip, expression 3: what is selected is no list of whole numbers",
        "video clip, expression 4: frame -1; frames count from 0",
        f'video bare: it has no table "selected_frames" in {selected.path}',
        f'video no: it has no table "selected_frames" in {selected.path}',
    ]


def words(tmp_path, split_folder, content) -> list[str]:
    (tmp_path / "selected.json").write_text(json.dumps(content))
    recipe = tmp_path / "it.toml"
    recipe.write_text(
        f'[[expert]]\nname = "it"\ncheckpoint = "{REFERENCE / "models" / "tiny_qwen2"}"\n'
        'procedure = "sasasa2va"\nmode = "q_frame"\nselected_frames = "selected.json"\n'
    )
    data = ["--data", str(split_folder.parent), "--split", split_folder.name]
    return ["predict", "--recipe", str(recipe), *data, "--run", str(tmp_path / "run")]


def test_expressions_with_the_same_frames_are_answered_together(
    tmp_path, split_folder, monkeypatch
):
    dogs = {"10": FIRST, "2": LAST, "0": FIRST}
    content = {"dogs": {"selected_frames": dogs}, "cups": {"selected_frames": {"0": FIRST}}}
    read, encoded = [], []

    def counted(expert):
        model = load(REFERENCE / "models" / "tiny_qwen2", "cpu", "float32")
        network = model.network
        network.vision.encoder.register_forward_hook(lambda _, x, __: read.append(len(x[0])))
        network.grounding.image_encoder.register_forward_hook(
            lambda _, x, __: encoded.append(len(x[0]))
        )
        return model

    monkeypatch.setattr(Source, "load", counted)
    assert main(words(tmp_path, split_folder, content)) == 0
    stored = {
        f"{path.parent.name}/{path.stem}": json.loads(path.read_text())
        for path in (tmp_path / "run/predictions/it").glob("*/*.json")
    }
    seen = {name: value["key_frames"] for name, value in stored.items()}
    assert seen == {"dogs/10": [0], "dogs/2": [0, 1], "dogs/0": [0], "cups/0": [0]}
    assert stored["dogs/2"]["sentence"] == "both dogs"
    assert sum(read) == 3 * 20  # two selections of one video, one of the other
    assert sum(encoded) <= 3 + 2


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_file_that_lacks_a_sentence_is_refused_before_a_model_is_loaded(
    tmp_path, split_folder, monkeypatch, capsys, dry
):
    monkeypatch.setattr(Source, "load", None)
    content = {"dogs": {"selected_frames": {"10": FIRST, "0": [0] * 98 + [3]}}}
    assert main([*words(tmp_path, split_folder, content), *dry]) != 0
    said = capsys.readouterr().err
    assert "video dogs, expression 2: no frames are selected for it" in said
    assert "video dogs, expression 0: 99 frames; they must be 100" in said
    assert 'video cups: it has no table "selected_frames"' in said


def test_a_file_that_is_not_there(tmp_path):
    (fault,) = SelectedFrames(tmp_path / "none.json").faults([video("clip", 3, "0")])
    assert "none.json" in str(fault)
