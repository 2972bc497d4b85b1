"""The call for a GPU: its parts, what is written after each, and its rehearsal."""

import sys
import time

import numpy as np
import pytest
from PIL import Image

from scripts.benchmark.gpu import Part, page, parts, run_part
from scripts.benchmark.submit_twice import compare, usual_devices


def python(code):
    return Part("x", (sys.executable, "-c", code))


def test_what_a_part_prints_is_kept_and_the_end_of_what_it_said_when_it_fails():
    done = run_part(python("print(17)"), None)
    assert (done.status, done.text) == ("done", "17\n")
    failed = run_part(python("print(1); raise SystemExit('no luck')"), None)
    assert failed.status == "failed"
    assert failed.text.startswith("1\n")
    assert "no luck" in failed.text


def test_a_part_is_ended_when_time_is_up():
    ended = run_part(python("import time; time.sleep(600)"), time.monotonic())
    assert ended.status == "ended"


def test_the_page_has_every_part_and_the_command_to_repeat_it():
    text = page([run_part(python("print('| x |')"), None)])
    assert "| x | done |" in text
    assert "## x\n`python -c" in text


def test_a_rehearsal_has_the_same_parts_with_small_models():
    real, rehearsed = (parts(rehearse=flag) for flag in (False, True))
    assert [part.name for part in real] == [part.name for part in rehearsed]
    assert "Sa2VA-26B" in " ".join(word for part in real for word in part.words)
    assert "Sa2VA-" not in " ".join(word for part in rehearsed for word in part.words)


def test_masks_come_first_and_the_public_code_where_a_checkout_is_carried(tmp_path):
    names = [part.name for part in parts(rehearse=True)]
    assert names.index("Same masks as on the CPU") < names.index("Attention kernels")
    assert not any("public code" in name for name in names)
    assert any("parts recorded" in name for name in names)
    carried = parts(rehearse=True, checkout=tmp_path / "Sa2VA", python="other")
    (public,) = (part for part in carried if "public code" in part.name)
    assert {"--public", str(tmp_path / "Sa2VA"), "other"} < set(public.words)


def test_only_a_rehearsal_goes_without_a_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert usual_devices(rehearse=True) == ("cpu", "cpu")
    assert usual_devices(rehearse=False) == ("cuda", "cpu")  # and is refused there
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert usual_devices(rehearse=True) == ("cuda", "cpu")


def test_two_folders_of_masks_are_compared(tmp_path):
    for folder, height in (("a", 2), ("b", 4)):
        for sentence, drawn in (("0", height), ("1", 0)):
            mask = np.zeros((8, 8), np.uint8)
            mask[:drawn] = 255
            path = tmp_path / folder / "clip" / sentence
            path.mkdir(parents=True)
            Image.fromarray(mask).save(path / "00000.png")
    table = compare(tmp_path / "a", tmp_path / "b")
    assert table.splitlines()[-1] == "| 2 | 0.50000 | 0.75000 | 1 of 2 |"
    (tmp_path / "b" / "clip" / "0" / "00001.png").touch()
    with pytest.raises(ValueError, match="different files"):
        compare(tmp_path / "a", tmp_path / "b")
