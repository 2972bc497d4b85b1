"""What somebody touches who adds something: counted on the code, and shown with one of each."""

import re
import shutil
import subprocess
import sys

import pytest
from models.checkpoints import TINY, copy_checkpoint

from scripts.extension_points import (
    COMMAND_LINE,
    PACKAGE,
    ROOT,
    Member,
    dotted,
    families,
    fewest,
    literal,
    touched,
)

GOALS = {
    "a vote rule": 1, "an expert kind": 2, "a procedure": 1, "a backbone": 2, "a verb": 1,
}  # fmt: skip
KIND = '''"""A kind for one test: everything is foreground."""

from dataclasses import dataclass

from submission.experts.expert import Expert
from submission.masks.store import Prediction
from submission.masks.track import Track

import numpy as np


@dataclass(frozen=True)
class Settings:
    """No keys."""


class Whole(Expert):
    """Answers every expression with whole frames."""

    def __init__(self, name):
        self.name = name

    def identity(self):
        return {}

    def frames(self, video):
        return ()

    def predict(self, video, session):
        whole = Track.encode(np.ones((len(video.frame_names), *video.size), dtype=bool))
        return ((one, Prediction(one.sentence, whole)) for one in video.expressions)


def build(name, settings, tools):
    return Whole(name)
'''


def test_each_takes_the_files_that_it_should():
    assert {family.words: len(fewest(family)) for family in families()} == GOALS
    assert {family.words: family.goal for family in families()} == GOALS
    assert all(len(family.members) > 1 for family in families())


@pytest.fixture
def house(tmp_path):
    """A copy of the package, without the checkpoints that come along."""
    folder = tmp_path / "submission"
    left_out = shutil.ignore_patterns("samples", "__pycache__")
    return shutil.copytree(PACKAGE, folder, ignore=left_out)


def test_a_kind_is_one_module_and_one_line(house, split_folder, tmp_path):
    module, registry = house / "experts/whole.py", house / "experts/registry.py"
    module.write_text(KIND)
    words = registry.read_text()
    line = '    "whole": "submission.experts.whole",\n'
    registry.write_text(words.replace("KINDS = {\n", f"KINDS = {{\n{line}", 1))
    assert literal(registry, "KINDS")["whole"] == "submission.experts.whole"
    member = Member("whole", module, dotted(module, house))
    assert touched(member, house) == (module, registry)

    recipe = tmp_path / "it.toml"
    recipe.write_text('[[expert]]\nname = "all"\nkind = "whole"\n')
    data = ["--data", str(split_folder.parent), "--split", split_folder.name]
    call = [sys.executable, "-m", "submission", "submit", "--recipe", str(recipe), *data,
            "--run", str(tmp_path / "run"), "--device", "cpu"]  # fmt: skip
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "11 of 11 masks" in done.stdout

    other = house / "pipeline/plan.py"  # the negative control: somebody else asks for the kind
    other.write_text(f"{other.read_text()}\nfrom submission.experts.whole import Whole\n")
    assert touched(member, house) == (module, registry, other)


def python(house, code):
    """Run code on the copied package; return what it prints."""
    call = [sys.executable, "-c", code]
    done = subprocess.run(call, cwd=house.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_verb_is_one_file(house, split_folder):
    """The one that docs/commands.md shows."""
    page = (ROOT / "docs/commands.md").read_text()
    module = house / "verbs/length.py"
    module.write_text(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1])
    member = Member("length", module, dotted(module, house), COMMAND_LINE)
    assert touched(member, house) == (module,)
    said = python(house, f"""
from submission.cli import find_verbs, main
assert main(["length", {str(split_folder)!r}]) == 0
print(*[one.name for one in find_verbs()])
""")  # fmt: skip
    folders = sorted((split_folder / "JPEGImages").iterdir())
    assert sorted(said[:-1]) == [f"{one.name}  {len(list(one.iterdir()))}" for one in folders]
    assert said[-1].split() == [
        "submit", "predict", "vote", "pack", "report", "check", "length", "score", "compare",
        "calibrate", "upload", "container", "weights", "recipes",
    ]  # fmt: skip
    cli = house / "cli.py"  # the negative control: a list of verbs somewhere else
    cli.write_text(f'{cli.read_text()}\nALSO = ("length",)\n')
    assert touched(member, house) == (module, cli)


def test_a_rule_is_one_file(house):
    voting = house / "masks/voting.py"
    row = '    if rule == "any":\n        return np.array([weight > 0 for weight in sums])\n'
    text = voting.read_text().replace('Rule = Literal["', 'Rule = Literal["any", "')
    voting.write_text(
        text.replace('    if rule == "paper":\n', f'{row}    if rule == "paper":\n', 1)
    )
    assert touched(Member("any", voting), house) == (voting,)
    said = python(house, """
from pathlib import Path
from submission.masks.voting import decision_table
from submission.recipes.parse import parse_recipe
one = {"name": "a", "checkpoint": "b"}
recipe = parse_recipe({"expert": [one], "vote": {"rule": "any"}}, Path("it.toml"))
print(decision_table(2, recipe.rule).astype(int))
""")  # fmt: skip
    assert said == ["[0 1 1 1]"]


def test_a_procedure_is_one_value(house):
    module = house / "models/sa2va/procedures.py"
    table = "PROCEDURES: Mapping[str, Procedure] = {\n"
    value = '    "mine": KeyFrames(TrackerPolicy()),\n'
    module.write_text(module.read_text().replace(table, table + value, 1))
    assert touched(Member("mine", module), house) == (module,)
    said = python(house, """
from pathlib import Path
from pydantic import TypeAdapter
from submission.errors import FaultyInput
from submission.models.sa2va.settings import ProcedureName, Settings
from submission.recipes.parse import parse_recipe
one = {"name": "a", "checkpoint": "b", "procedure": "mine"}
print(parse_recipe({"expert": [one]}, Path("it.toml")).experts[0].settings.call().procedure)
print("mine" in TypeAdapter(ProcedureName).json_schema()["enum"])
try:
    parse_recipe({"expert": [one | {"procedure": "mime"}]}, Path("it.toml"))
except FaultyInput as error:
    print(error)
try:
    Settings(procedure="mime")
except FaultyInput as error:
    print(error)
""")  # fmt: skip
    text = "\n".join(said[2:])
    assert said[:2] == ["mine", "True"]
    assert 'it must be one of "mine", "sa2va", "sa2va-i", "sasasa2va"; did you mean "mine"?' in text
    assert "procedure: it is 'mime'; known: mine, sa2va, sa2va-i, sasasa2va" in text


def test_a_backbone_is_a_folder_and_a_line(house, tmp_path):
    folder, registry = house / "models/sa2va/mine", house / "models/sa2va/registry.py"
    shutil.copytree(house / "models/sa2va/internvl", folder)
    for path in folder.glob("*.py"):
        text = path.read_text().replace("sa2va.internvl", "sa2va.mine")
        path.write_text(text.replace("    return True\n", '    return "mine" in config\n'))
    line = '    "submission.models.sa2va.mine",\n'
    registry.write_text(registry.read_text().replace("BACKBONES = (", f"BACKBONES = (\n{line}", 1))
    member = Member("mine", folder, dotted(folder, house))
    assert touched(member, house) == (folder, registry)

    checkpoint = copy_checkpoint(
        TINY, tmp_path / "checkpoint", lambda config, _: config.update(mine=1)
    )
    said = python(house, f"""
import json
from pathlib import Path
from submission.models import load
from submission.models.sa2va import Settings
from submission.models.sa2va.registry import image_requests, parse_sizes
folder = Path({str(checkpoint)!r})
values = json.loads((folder / "config.json").read_text())
image_requests(values, [(0,)], Settings())
for one in (parse_sizes(values), load(folder, "cpu").backbone):
    print(type(one).__module__)
""")  # fmt: skip
    assert said == ["submission.models.sa2va.mine.sizes", "submission.models.sa2va.mine.backbone"]

    other = house / "models/sa2va/model.py"  # the negative control: somebody else tells it by name
    other.write_text(f'{other.read_text()}\nMINE = "mine"\n')
    assert touched(member, house) == (folder, other, registry)
