"""The digest of a stage's code: it follows what is imported, and not words."""

import shutil
from importlib import import_module
from pathlib import Path

import pytest

import submission
from submission.code_digest import COUNTING, WITHOUT_A_SAY, code_digest, digest_of, prediction_code
from submission.models.sa2va.registry import BACKBONES

PACKAGE = Path(submission.__file__).parent
VOTE, CHECK, SA2VA = (
    "submission.pipeline.vote",
    "submission.pipeline.check",
    "submission.experts.sa2va",
)


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """A copy of the kit's modules that a test may edit."""
    folder = tmp_path_factory.mktemp("code") / "submission"
    for file in PACKAGE.rglob("*.py"):
        target = folder / file.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {
        stage: digest_of([stage], {"submission": folder}, WITHOUT_A_SAY)
        for stage in (VOTE, CHECK, SA2VA)
    }


def changed_by(folder: Path, module: str, code: str) -> set[str]:
    """The stages whose digest changes when a line is added to a module."""
    before, file = digests(folder), folder / module
    text = file.read_text()
    file.write_text(text + code)
    after = digests(folder)
    file.write_text(text)
    return {stage for stage in after if after[stage] != before[stage]}


def test_a_copy_elsewhere_has_the_same_digest(copied):
    assert digests(copied) == {stage: code_digest(stage) for stage in (VOTE, CHECK, SA2VA)}


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("masks/voting.py", {VOTE}),
        ("output/png_files.py", {VOTE, CHECK}),
        ("models/sam2/tracker.py", {SA2VA}),
        ("dataset/rle.py", {VOTE, CHECK, SA2VA}),
        ("terminal/progress.py", set()),
    ],
)
def test_a_line_of_code_changes_the_stages_that_import_it(copied, module, stages):
    assert changed_by(copied, module, "\nADDED = 1\n") == stages


@pytest.mark.parametrize("module", ["masks/voting.py", "models/sam2/tracker.py"])
def test_a_comment_and_a_docstring_change_nothing(copied, module):
    words = '# a comment\n"""A text that does nothing."""\n'
    assert changed_by(copied, module, words) == set()


def test_how_answers_are_stored_has_no_say_in_what_a_model_predicts(monkeypatch):
    asked = []
    monkeypatch.setattr("submission.code_digest.code_digest", lambda *a, **b: asked.append((a, b)))
    prediction_code(SA2VA)
    ((modules, options),) = asked
    assert modules[0] == SA2VA
    assert options == {"apart_from": ("submission.masks.store", *COUNTING)}


@pytest.mark.parametrize("backbone", ["internvl", "qwenvl"])
def test_predictions_hang_on_their_own_backbone_alone(copied, backbone):
    (package,) = (name for name in BACKBONES if name.endswith(backbone))
    kind = import_module(package).KIND

    def digest() -> str:
        left_out = [*WITHOUT_A_SAY, *COUNTING]
        return digest_of([SA2VA, *kind.code], {"submission": copied}, left_out)

    for other in ("internvl", "qwenvl"):
        for file, counts in (("vision.py", True), ("images.py", True), ("countable.py", False)):
            before, path = digest(), copied / "models/sa2va" / other / file
            text = path.read_text()
            path.write_text(f"{text}\nADDED = 1\n")
            assert (digest() != before) == (counts and other == backbone), path
            path.write_text(text)


# --- what is followed ----------------------------------------------------------------------------
@pytest.fixture
def other(tmp_path) -> Path:
    """A small package: `a` imports `b` in the head, `sub.c` in a function, and `d` for types."""
    files = {
        "__init__.py": "VERSION = 1\n",
        "a.py": "from typing import TYPE_CHECKING\nfrom other import b\n"
        "if TYPE_CHECKING:\n    from other.d import D\n"
        'def f():\n    """Say f."""\n    import other.sub.c as c\n    return c.x\n',
        "b.py": "from .sub import value\n",
        "d.py": "class D: ...\n",
        "e.py": "y = 1\n",
        "sub/__init__.py": "from ..e import y\nvalue = y\n",
        "sub/c.py": "x = 1\n",
    }
    for name, text in files.items():
        path = tmp_path / "other" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path / "other"


def test_every_python_gives_the_same_digest(other):
    (other / "e.py").write_text("def f(): return []\nclass y: z = lambda: f'{f()}'\n")
    assert digest_of(["other.a"], {"other": other}) == "6a9dbe9333cd6072"


@pytest.mark.parametrize(
    ("file", "old", "new", "counts"),
    [
        ("b.py", "sub import value", "sub import value as v", True),
        ("sub/c.py", "x = 1", "x = 2", True),
        ("sub/__init__.py", "value = y", "value = -y", True),
        ("e.py", "y = 1", "y = 2", True),
        ("d.py", "...", "x = 1", False),
        ("__init__.py", "1", "2", False),
        ("a.py", '    """Say f."""\n', "", False),
        ("a.py", "return c.x", "return ( c.x )  # x", False),
        ("a.py", "return c.x", "return -c.x", True),
    ],
)
def test_imports_are_followed_wherever_they_stand(other, file, old, new, counts):
    before = digest_of(["other.a"], {"other": other})
    path = other / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert (digest_of(["other.a"], {"other": other}) != before) == counts


def test_what_is_left_out_is_not_followed_either(other):
    before = digest_of(["other.a"], {"other": other}, ["other.b"])
    (other / "e.py").write_text("y = 2\n")
    assert digest_of(["other.a"], {"other": other}, ["other.b"]) == before


def test_a_module_from_outside_the_kit_has_a_digest(other, monkeypatch):
    monkeypatch.syspath_prepend(other.parent)
    assert code_digest("other.a") == digest_of(["other.a"], {"other": other})


def test_a_module_that_is_not_there_is_refused(other):
    with pytest.raises(ValueError, match=r"other\.z: no such module"):
        digest_of(["other.z"], {"other": other})


def test_what_is_left_out_of_every_digest_exists():
    for name in WITHOUT_A_SAY:
        path = PACKAGE.joinpath(*name.split(".")[1:])
        assert path.is_dir() or path.with_suffix(".py").is_file(), name
