"""Procedures as values: what they show, prompt and track; settings that read them; no torch."""

import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from submission.errors import FaultyInput
from submission.models.sa2va.procedures import PROCEDURES, TRACK, Step
from submission.models.sa2va.settings import Settings


def test_steps_prompt_first_and_track_the_others():
    steps = PROCEDURES["sa2va"].steps(7, Settings(frames=3))
    assert steps == (*(Step(t, 0) for t in (0, 3, 6)), *(Step(t, TRACK) for t in (1, 2, 4, 5)))


def test_prompts_on_the_first_frames_whatever_is_shown():
    settings = Settings(frames=2, prompt_frames="first")
    assert PROCEDURES["sa2va"].images(9, settings) == ((0,), (8,))
    assert [s.frame for s in PROCEDURES["sa2va"].steps(9, settings) if s.prompt == 0] == [0, 1]


@pytest.mark.parametrize(
    ("seg", "found", "objects"),
    [("first", 0, ()), ("first", 3, ((0,),)), ("union", 0, ()), ("union", 3, ((0,), (1,), (2,)))],
)
def test_what_several_seg_prompt(seg, found, objects):
    assert PROCEDURES["sa2va-i"].objects(found, Settings(seg=seg)) == objects


def test_everything_wrong_with_settings_is_told_at_once():
    with pytest.raises(FaultyInput) as caught:
        Settings(procedure="sa2va2", seg="last", frames=0, nearest_prompts=-1, memory_stride=9)
    wrong = {fault.where: fault.what for fault in caught.value.faults}
    assert wrong.keys() == {"procedure", "seg", "frames", "nearest_prompts", "memory_stride"}
    assert "known: sa2va, sa2va-i" in wrong["procedure"]
    with pytest.raises(FaultyInput, match=r"frames: it is 5\.0; it must be a whole number"):
        Settings(frames=5.0)


def test_pydantic_reads_the_record():
    adapter = TypeAdapter(Settings)
    assert adapter.validate_python({"frames": 20, "seg": "union"}) == Settings(
        frames=20, seg="union"
    )
    with pytest.raises(ValidationError):
        adapter.validate_python({"frames": "many"})


def test_settings_and_the_door_to_the_models_do_not_load_torch():
    code = (
        "import sys, submission.models, submission.models.sa2va\n"
        "import submission.models.sa2va.procedures\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
