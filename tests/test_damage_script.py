"""A short run of scripts/damage: nothing but a worked call or a sentence, whatever is damaged."""

from dataclasses import replace

import pytest

from scripts.damage.__main__ import damage_all, lay_out_in, table
from scripts.damage.kinds import KINDS
from scripts.damage.outcome import BAD, MENDED, NAMED, OTHER, WORKED
from scripts.damage.scene import INPUTS, READ, RUN

WITH_A_MODEL = ("config.json", "tokenizer.json", "tokenizer_config.json", "safetensors")
TARGETS = [one for one in (*INPUTS, *READ, *RUN) if one.name not in WITH_A_MODEL]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damage")
    lay_out_in(folder / "whole", 'kind = "example"\n')
    return folder


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda handle: None)


def test_one_way_of_damage_for_every_kind_of_file(base):
    found = []
    for number, target in enumerate(TARGETS):
        kind = KINDS[5 * number % len(KINDS)]  # every way comes once or twice
        first = replace(target, calls=target.calls[:1])
        found += damage_all(base, [first], seed=0, each=1, kinds=[kind])
    assert [case.words for _, _, case in found if case.outcome == BAD] == []
    assert {kind for _, kind, _ in found} == set(KINDS)
    assert {case.outcome for _, _, case in found} >= {WORKED, MENDED, NAMED}
    assert OTHER in table(found)
