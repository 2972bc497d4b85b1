"""Recipes: what is read, and that everything wrong in one is said at once."""

import os
import re
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from submission.compute import Compute
from submission.errors import FaultyInput, InputError
from submission.experts import mask_files
from submission.experts.expert import ExpertEntry
from submission.experts.registry import KINDS
from submission.gate.judge import Settings as Judge
from submission.output.team import AGREEMENT
from submission.recipes.find import read_recipe, recipe_series
from submission.recipes.stored import as_json, from_json

EXAMPLE = """
name = "pvuw4"
[data]
root = "data/mevis"
split = "valid"
[[expert]]
name = "sa2va-26b-uniform20"
checkpoint = "Sa2VA-26B"
procedure = "sa2va"
sampling = "uniform"
frames = 20
prompt_frames = "sampled"
weight = 1.0
[[expert]]
name = "uninext-cutie"
masks = "masks/uninext-cutie"
weight = 2
[vote]
rule = "paper"
[output]
png = "8bit"
"""


def write(folder: Path, text: str) -> str:
    path = folder / "my.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("path", ["C:\\Users\\me", "C:\\data", "C:\\temp\\new"])
def test_a_windows_path_gets_a_hint_and_in_single_quotes_it_is_a_text(tmp_path, path):
    text = EXAMPLE.replace('"data/mevis"', f'"{path}"')
    with pytest.raises(InputError, match=r"my\.toml: .*write the path in single quotes"):
        read_recipe(write(tmp_path, text))
    quoted = EXAMPLE.replace('"data/mevis"', f"'{path}'")
    assert read_recipe(write(tmp_path, quoted)).root == tmp_path / path


def test_a_byte_order_mark_is_no_fault_and_other_errors_get_no_hint(tmp_path):
    assert read_recipe(write(tmp_path, f"\ufeff{EXAMPLE}")).name == "pvuw4"
    with pytest.raises(InputError, match="not valid TOML") as error:
        read_recipe(write(tmp_path, f"{EXAMPLE}\npng = "))
    assert "backslash" not in str(error.value)
    with pytest.raises(InputError, match="a web page instead of the file"):
        read_recipe(write(tmp_path, "<!DOCTYPE html><html>"))


def test_the_documented_recipe_is_read(tmp_path):
    recipe = read_recipe(write(tmp_path, EXAMPLE))
    first, given = recipe.experts
    assert (recipe.name, recipe.split, recipe.rule, recipe.png) == (
        "pvuw4",
        "valid",
        "paper",
        "8bit",
    )
    assert recipe.root == tmp_path / "data/mevis"
    asked = first.settings
    assert (first.kind, first.weight) == ("sa2va", 1.0)
    assert (asked.frames, asked.seg, asked.max_new_tokens) == (20, "first", 2048)
    settings = mask_files.Settings("masks/uninext-cutie")
    assert given == ExpertEntry("uninext-cutie", "masks", settings, 2.0)


def test_approximations_are_asked_for_by_name_and_say_so(tmp_path):
    expert = '[[expert]]\nname = "a"\ncheckpoint = "x"\n'
    exact, fast = (
        read_recipe(write(tmp_path, expert + more)).experts[0].settings
        for more in ("", "nearest_prompts = 4\nmemory_stride = 2\nquantize = 'int8'\n")
    )
    assert exact.approximations == ""
    assert fast.approximations == (
        "tracked frames see only the nearest 4 of the prompted frames and recent memory maps in "
        "steps of 2 frames; weights of the language model are rounded to 8 bits"
    )
    wrong = "nearest_prompts = -1\nmemory_stride = 7\nquantize = 'int4'\n"
    with pytest.raises(FaultyInput) as error:
        read_recipe(write(tmp_path, expert + wrong))
    for words in ("nearest_prompts: it is -1", "memory_stride: it is 7", "quantize: it is 'int4'"):
        assert words in str(error.value)


def test_a_short_recipe_takes_its_name_from_the_file(tmp_path):
    recipe = read_recipe(write(tmp_path, '[[expert]]\nname = "a"\ncheckpoint = "x"\n'))
    assert recipe.name == "my"
    assert (recipe.rule, recipe.png, recipe.missing) == ("majority", "1bit", "error")


def test_everything_wrong_is_said_at_once(tmp_path):
    text = """
    nmae = "typo"
    [[expert]]
    name = "a/b"
    checkpoint = "x"
    procedure = "sa2va-2"
    frames = 0
    [[expert]]
    name = "vote"
    weight = -1
    [vote]
    rule = "mean"
    [output]
    png = 8
    [team]
    team_name = "us"
    """
    with pytest.raises(FaultyInput) as refused:
        read_recipe(write(tmp_path, text))
    said = str(refused.value)
    for part in (
        "nmae: unknown key", "expert 1, name: the name 'a/b' has a path separator",
        "expert 1, procedure: it is 'sa2va-2'; it must be one of "
        '"sa2va", "sa2va-i", "sasasa2va"; did you mean "sa2va-i"?',
        "expert 1, frames: it is 0", '"vote" is what',
        "expert 2, weight: it is -1; it must be above 0", "expert 2: it needs either checkpoint",
        "[vote] rule",
        "[output] png: it is 8", AGREEMENT,
    ):  # fmt: skip
        assert part in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is none; a run needs at least one expert"),
        ('[[expert]]\nname="a"\ncheckpoint="x"\n[[expert]]\nname="a"\ncheckpoint="y"', "is taken"),
        ('expert = "x"', "begun by [[expert]]"),
        ("expert = 3", "begun by [[expert]]"),
        ("data = 3", "must be a table: [data]"),
        ('[[expert]]\nname="a"\ncheckpoint="x"\nframes=true', "frames: it is True"),
        ('[[expert]]\nname="a"\ncheckpoint="x"\nmask="y"', "mask: unknown key"),
        ('[[expert]]\nname="a"\nmasks=""', "masks: it is ''; it must not be empty"),
        (
            '[[expert]]\nname="a"\ncheckpoint="x"\nmasks="y"',
            "it has checkpoint and masks, which are two",
        ),
        ('[[expert]]\nname="a"\ncheckpoint="x"\nsam2="y"', "sam2: it has no effect"),
        ('[[expert]]\nname="a"\nkind="nope"', 'no kind of expert "nope"; known: sa2va, masks'),
        ('[[expert]]\nname="a"\nkind="example"\nthreshold=256', "256; it must be at most 255"),
        ('[[expert]]\ncheckpoint="x"', "expert 1, name: it is missing"),
        ('[[expert]]\nname="a"\ncheckpoint="x"\nweight=inf', "weight: it is inf; .* finite"),
        ("[compute]\nfeatures_gb=-1", "features_gb: it is -1; it must be at least 0"),
    ],
)
def test_a_fault_is_named(tmp_path, text, words):
    with pytest.raises(FaultyInput, match=words.replace("[", r"\[")):
        read_recipe(write(tmp_path, text))


def test_broken_toml_says_where(tmp_path):
    with pytest.raises(InputError, match=r"my\.toml: not valid TOML: .*at line 2"):
        read_recipe(write(tmp_path, "name = 'a'\nsplit = = 1\n"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = " + "[" * 20_000, "nested too deeply"),
        ("x = " + "{x = " * 5_000, "nested too deeply"),
        ("x = " + "9" * 5_000, "Exceeds the limit"),
    ],
)
def test_toml_that_only_malice_writes(tmp_path, text, words):
    with pytest.raises(InputError, match=rf"my\.toml: not valid TOML: {words}"):
        read_recipe(write(tmp_path, text))


def test_a_recipe_is_an_ordinary_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    for name, kind in (("pipe", "a named pipe"), ("zero", "a device")):
        with pytest.raises(InputError, match=f"not an ordinary file but {kind}"):
            read_recipe(str(tmp_path / f"{name}.toml"))


def test_an_unknown_recipe_lists_the_packaged_ones():
    with pytest.raises(InputError, match=r"nope: no such recipe.*sample"):
        read_recipe("nope")


def test_a_home_in_the_name_of_a_recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "series").mkdir()
    (tmp_path / "series/my.toml").write_text('[[expert]]\nname = "a"\ncheckpoint = "x"\n')
    assert read_recipe("~/series/my.toml").name == "my"
    assert recipe_series("~/series") == [f"{tmp_path}/series/my.toml"]


def test_a_recipe_that_lies_near_is_offered(tmp_path, monkeypatch):
    (tmp_path / "mine.toml").touch()
    monkeypatch.chdir(tmp_path)
    for name, words in {
        "mine": 'did you mean "mine.toml"?',
        "meine.toml": f'looked for {tmp_path}/meine.toml; did you mean "mine.toml"?',
        "other/mine.toml": f"looked for {tmp_path}/other/mine.toml",
    }.items():
        with pytest.raises(InputError, match=re.escape(f"{name}: no such recipe; {words}") + "$"):
            read_recipe(name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[expert]\na = 1\n[expert]\n", "each begins with [[expert]]"),
        ("split = valid", "a text stands in quotes"),
        ("frames = \nseg = 1\n", "at line 1, column 10)"),  # nothing is guessed here
    ],
)
def test_common_slips_in_toml_get_a_hint(tmp_path, text, words):
    (tmp_path / "my.toml").write_text(text)
    with pytest.raises(InputError) as error:
        read_recipe(str(tmp_path / "my.toml"))
    assert str(error.value).endswith(words) or f"{words}, true" in str(error.value)


def test_a_folder_is_no_recipe(tmp_path):
    with pytest.raises(InputError, match="a folder; name a"):
        read_recipe(str(tmp_path))


def test_the_team_must_be_complete(tmp_path):
    members = '[[team.members]]\nname = "A"\naffiliation = "B"\n'
    team = f'[team]\n"{AGREEMENT}" = true\nteam_name = "us"\nemail = "a@b.org"\n{members}'
    good = f'[[expert]]\nname = "a"\ncheckpoint = "x"\n{team}'
    assert read_recipe(write(tmp_path, good)).team is not None
    with pytest.raises(FaultyInput, match="email"):
        read_recipe(write(tmp_path, good.replace("email", "mail")))


def test_a_recipe_comes_back_from_the_record_of_a_run(tmp_path):
    recipe = read_recipe(write(tmp_path, EXAMPLE + "[published]\nsource = 'x'\nj = 1.0\n"))
    assert from_json(as_json(recipe)) == recipe
    values = as_json(recipe)
    for expert in values["experts"]:
        del expert["kind"]  # as records had it before there were kinds
    assert from_json(values) == recipe
    with pytest.raises(InputError, match="frames: it is 'many'"):
        from_json({**values, "experts": [{**values["experts"][0], "frames": "many"}]})


def test_the_page_about_recipes_has_every_key_with_its_default(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "recipe.md").read_text(encoding="utf-8")
    *_, text = re.findall(r"(?ms)^```toml\n(.*?)^```", page)  # the last: all keys
    full, short = (
        read_recipe(write(tmp_path, content))
        for content in (text, '[[expert]]\nname = "a"\ncheckpoint = "x"\n')
    )
    examples = {"name", "folder", "root", "split", "meta", "team", "published", "gate", "judge"}
    assert full.judge == Judge(full.judge.checkpoint)
    shown, default = full.experts[0], short.experts[0]
    for record, usual in ((full, short), (shown, default), (shown.settings, default.settings)):
        assert record.__class__ is usual.__class__
        for field in fields(record):
            if field.name not in {*examples, "experts", "settings", "checkpoint"}:
                assert getattr(record, field.name) == getattr(usual, field.name), field.name
    tables = tomllib.loads(text)
    assert {field.name for field in fields(Compute)} == tables["compute"].keys()
    for kind in KINDS:
        of_kind = [one for one in zip(tables["expert"], full.experts, strict=True)
                   if one[1].kind == kind]  # fmt: skip
        named = set().union(*(table.keys() for table, _ in of_kind))
        first = of_kind[0][1].settings
        for field in fields(first):
            assert field.name in named, f"{kind}: {field.name}"
            if field.default is not MISSING:
                assert getattr(first, field.name) == field.default, f"{kind}: {field.name}"


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ('mode = "wrap_around"', "mode: it has no effect"),
        ('procedure = "sasasa2va"\nframes = 7', "frames: it has no effect"),
        ('procedure = "sasasa2va"\nmode = "wrap"', "mode"),
    ],
)
def test_modes_of_sasasa2va_that_cannot_be_meant(tmp_path, keys, says):
    path = tmp_path / "modes.toml"
    path.write_text(f'[[expert]]\nname = "a"\ncheckpoint = "SaSaSa2VA-4B"\n{keys}\n')
    with pytest.raises(FaultyInput, match=says):
        read_recipe(str(path))


def test_homes_of_nobody_are_faults_of_the_recipe(tmp_path):
    text = EXAMPLE.replace("data/mevis", "~nobody-of-that-name/data")
    text = text.replace("masks/uninext-cutie", "~nobody-of-that-name/masks")
    text += '[gate]\ncalibration = "~nobody-of-that-name/gate.json"\n'
    with pytest.raises(FaultyInput) as caught:
        read_recipe(write(tmp_path, text))
    assert [fault.where for fault in caught.value.faults] == [
        "[data] root",
        "expert 2, masks",
        "[gate] calibration",
    ]
    assert all("no home folder" in fault.what for fault in caught.value.faults)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("experts", [], "experts: there is none"),
        ("rule", 3, "rule: it is 3"),
        ("compute", {"device": 1.5}, "compute.device: it is 1.5"),
        ("compute", [], "compute is no object"),
        ("team", "A", "team is no object"),
        ("folder", None, "NoneType"),
    ],
)
def test_a_recorded_recipe_of_other_types_is_refused(tmp_path, key, value, words):
    recipe = read_recipe(write(tmp_path, '[[expert]]\nname = "a"\nmasks = "m"'))
    assert from_json(as_json(recipe)) == recipe
    with pytest.raises((InputError, TypeError), match=re.escape(words)):
        from_json(as_json(recipe) | {key: value})
