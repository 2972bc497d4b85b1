"""What a run notes of its stages and calls: used where it fits, and none where it is damaged."""

import json

import pytest

from submission.files.whole import write_json
from submission.run.calls import read_calls
from submission.run.stages import Stages, contents

CALL = {
    "started": "2026-01-01", "seconds": {"vote": 1.5}, "made_for": {}, "data": {}, "hardware": {},
    "attention": {"a": "flash"},
}  # fmt: skip


def test_a_stage_is_current_for_its_inputs_and_what_it_made(tmp_path):
    stages, made = Stages(tmp_path), tmp_path / "made.json"
    made.write_text("1")
    stages.record("one", {"rule": "paper"}, made=contents([made]))
    assert stages.is_current("one", {"rule": "paper"}, [made])
    assert not stages.is_current("one", {"rule": "majority"}, [made])
    assert not stages.is_current("two", {"rule": "paper"}, [made])
    made.write_text("2")
    assert not stages.is_current("one", {"rule": "paper"}, [made])


@pytest.mark.parametrize(
    "change",
    [{"seconds": {"vote": "x"}}, {"seconds": {"vote": True}}, {"seconds": None},
     {"attention": 1.5}, {"attention": {"a": []}}, {"data": []}],
)  # fmt: skip
def test_a_damaged_record_of_a_call_counts_as_none(tmp_path, change):
    write_json(tmp_path / "calls/1.json", CALL)
    write_json(tmp_path / "calls/2.json", CALL | change)
    (tmp_path / "calls/3.json").write_text(json.dumps(CALL)[:-1])
    assert read_calls(tmp_path) == [CALL]
