"""The house as README draws it: direction of imports, captions, commands, locked dependencies."""

import argparse
import ast
import re
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from scripts.file_tree import PAGES, caption, draw

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "submission"

# Each room imports itself and rooms to its left only; torch stays out of all of them.
WITHOUT_TORCH = (
    "errors", "counted", "did_you_mean", "files", "terminal", "dataset", "masks", "output", "score",
)  # fmt: skip
TORCH = {"cutie", "torch", "transformers", "sam2"}
MODELS_KNOW = {
    "errors",
    "counted",
    "files",
    "video",
    "device",
    "models",
}
KNOW_THE_RECIPE = {"__init__", "recipes", "cli", "verbs", "pipeline", "experts", "run"}
NOT_IMPORTED = {"scripts", "tests"}

# What reaches the network, and where it may: Hub, container engine, the server that judges.
NETWORK = {"aiohttp", "docker", "http", "httpx", "httpx2", "huggingface_hub", "requests", "socket"}
NETWORK |= {"ray", "ftplib", "smtplib", "ssl", "urllib.request", "urllib3"}
MAY_USE_THE_NETWORK = (
    "weights/hub.py",
    "container/",
    "upload/transport.py",
    "cluster/ray_session.py",
)


# --- imports -------------------------------------------------------------------------------------
def imported(path: Path) -> Iterator[str]:
    """The dotted names that a module imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def forbidden_imports(package: Path) -> list[str]:
    """One line for each import that goes against the direction of the house."""
    return [
        f"{path.relative_to(package)} imports {name}"
        for path in sorted(package.rglob("*.py"))
        for name in imported(path)
        if not allowed(path.relative_to(package).parts[0].removesuffix(".py"), name)
    ]


def allowed(room: str, name: str) -> bool:
    top, _, rest = name.partition(".")
    if top != "submission":
        return top not in NOT_IMPORTED and not (room in WITHOUT_TORCH and top in TORCH)
    target = rest.partition(".")[0]
    if target == "cli":
        return room == "__main__"
    if target == "recipes" and room not in KNOW_THE_RECIPE:
        return False
    if room in WITHOUT_TORCH and target != "__version__":
        return target in WITHOUT_TORCH[: WITHOUT_TORCH.index(room) + 1]
    if room == "video":  # what a video is to a model knows neither files nor models
        return target in {"errors", "video"}
    return room != "models" or target in MODELS_KNOW


def test_imports_go_in_one_direction():
    assert forbidden_imports(PACKAGE) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("dataset/a.py", "from submission.masks.track import Track"),
        ("errors.py", "import submission.dataset"),
        ("score/a.py", "def f():\n    import torch.nn"),
        ("models/a.py", "from submission.dataset import records"),
        ("video/a.py", "from submission.models.sam2 import tracker"),
        ("video/a.py", "from submission.masks.store import Prediction"),
        ("output/a.py", "from submission import recipes"),
        ("pipeline/predict.py", "from submission.cli import main"),
        ("report/a.py", "import scripts.sample_data"),
    ],
)
def test_an_import_against_the_direction_is_noticed(tmp_path, path, line):
    module = tmp_path / path
    module.parent.mkdir(exist_ok=True)
    module.write_text(line)
    assert len(forbidden_imports(tmp_path)) == 1


SIDE_BY_SIDE = {"models": "sa2va", "models/sa2va": "internvl"}  # and one that must be there


def sideways_imports(package: Path, above: str) -> list[str]:
    """One line for each import of one family below a folder by another."""
    families, prefix = family_names(package, above), f"submission.{above.replace('/', '.')}."
    return [
        f"{path.relative_to(package)} imports {name}"
        for family in families
        for path in sorted((package / above / family).rglob("*.py"))
        for name in imported(path)
        if name.startswith(prefix)
        and name.removeprefix(prefix).partition(".")[0] in families - {family}
    ]


def family_names(package: Path, above: str) -> set[str]:
    """Folders below another that are families: all but SAM 2, which they share."""
    folders = {path.parent.name for path in (package / above).glob("*/__init__.py")}
    return folders - {"sam2"}


@pytest.mark.parametrize("above", SIDE_BY_SIDE)
def test_families_and_backbones_never_import_each_other(above):
    assert SIDE_BY_SIDE[above] in family_names(PACKAGE, above)
    assert sideways_imports(PACKAGE, above) == []


@pytest.mark.parametrize("above", SIDE_BY_SIDE)
def test_a_family_that_imports_another_is_noticed(tmp_path, above):
    dots = f"submission.{above.replace('/', '.')}"
    for family in ("one", "other", "sam2"):
        (tmp_path / above / family).mkdir(parents=True)
        (tmp_path / above / family / "__init__.py").write_text("")
    lines = [f"from {dots}.other import a", f"from {dots}.sam2 import b", f"import {dots}.shared"]
    (tmp_path / above / "one" / "network.py").write_text("\n".join(lines))
    found = sideways_imports(tmp_path, above)
    assert found == [f"{above}/one/network.py imports {dots}.other.a"]


def compared_procedures(package: Path) -> list[str]:
    """One line for each comparison of a procedure's name: procedures are values, and are asked."""
    return [
        f"{path.relative_to(package)}:{node.lineno}"
        for path in sorted(package.rglob("*.py"))
        if path.name != "procedures.py" or path.parent.name != "sa2va"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare | ast.Match) and compares_a_procedure(node)
    ]


def compares_a_procedure(node: ast.Compare | ast.Match) -> bool:
    sides = (
        [node.left, *node.comparators]
        if isinstance(node, ast.Compare)
        else [node.subject, *(case.pattern for case in node.cases)]
    )
    inside = [part for side in sides for part in ast.walk(side)]
    named = {getattr(part, "attr", getattr(part, "id", "")) for part in inside}
    words = [part for part in inside if isinstance(part, ast.Constant)]
    return "procedure" in named and any(isinstance(word.value, str) for word in words)


def test_nobody_compares_names_of_procedures():
    assert compared_procedures(PACKAGE) == []


@pytest.mark.parametrize(
    "line",
    [
        'good = member.procedure == "sa2va"',
        'good = procedure in ("sa2va", "sa2va-i")',
        'match procedure:\n    case "sa2va":\n        pass',
    ],
)
def test_a_comparison_of_a_procedure_is_noticed(tmp_path, line):
    (tmp_path / "a.py").write_text(f"{line}\nname = settings.seg == 'first'")
    assert compared_procedures(tmp_path) == ["a.py:1"]


def circle_of_rooms(package: Path) -> list[str]:
    """The rooms, at the top of the package, that import each other in a circle; empty for none."""
    rooms: dict[str, set[str]] = {}
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        names = [name.split(".") for name in imported(path)]
        targets = {name[1] for name in names if name[0] == "submission" and name[1:]}
        rooms.setdefault(room, set()).update(targets - {room})
    try:
        TopologicalSorter(rooms).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_rooms_are_few_and_in_no_circle():
    assert circle_of_rooms(PACKAGE) == []
    assert len([path for path in PACKAGE.glob("[a-z]*") if path.is_dir()]) <= 24


def test_a_circle_of_rooms_is_noticed(tmp_path):
    lines = {
        "a/x.py": "from submission.b import y", "b.py": "def f():\n    import submission.c.z",
        "c/z.py": "from submission.a.x import v", "d.py": "from submission.a import x",
    }  # fmt: skip
    for path, line in lines.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(line)
    assert set(circle_of_rooms(tmp_path)) == {"a", "b", "c"}
    (tmp_path / "c/z.py").write_text("from submission.e import v")
    assert circle_of_rooms(tmp_path) == []


def network_imports(package: Path) -> list[str]:
    """One line for each import of a networking library outside the modules that may have one."""
    return [
        f"{path.relative_to(package)} imports {name}"
        for path in sorted(package.rglob("*.py"))
        if not path.relative_to(package).as_posix().startswith(MAY_USE_THE_NETWORK)
        for name in imported(path)
        if any(name == library or name.startswith(f"{library}.") for library in NETWORK)
    ]


def test_only_hub_container_engine_and_judge_are_spoken_to():
    assert network_imports(PACKAGE) == []
    assert all((PACKAGE / path).exists() for path in MAY_USE_THE_NETWORK)


@pytest.mark.parametrize("line", ["import requests", "from urllib import request", "import socket"])
def test_a_use_of_the_network_elsewhere_is_noticed(tmp_path, line):
    (tmp_path / "a.py").write_text(line)
    assert len(network_imports(tmp_path)) == 1


# --- the seam ------------------------------------------------------------------------------------
# Rooms that may tell one kind of expert from another; everybody else asks the expert.
KNOW_KINDS = "experts/"
KIND_MODULES = {path.stem for path in (PACKAGE / "experts").iterdir()} - {
    "__init__", "__pycache__", "expert", "registry", "scheduling", "sharing", "model_cache",
}  # fmt: skip


def recognised_kinds(package: Path) -> list[str]:
    """One line for each place outside experts/ that knows a kind: module, class, key or name."""
    found = []
    for path in sorted(package.rglob("*.py")):
        where = path.relative_to(package).as_posix()
        if where.startswith(KNOW_KINDS):
            continue
        found += [f"{where} imports {name}" for name in imported(path) if is_kind(name)]
        tree = ast.parse(path.read_text())
        found += [f"{where} compares {what}" for node in ast.walk(tree) for what in asked(node)]
    return found


def is_kind(name: str) -> bool:
    package, _, rest = name.partition("submission.experts.")
    return not package and rest.partition(".")[0] in KIND_MODULES


def asked(node: ast.AST) -> Iterator[str]:
    """`"masks" in entry`, `x.kind == "sa2va"`, and `isinstance(x, SomeExpert)`."""
    from submission.experts.registry import BY_KEY, KINDS

    words = {*KINDS, *BY_KEY}
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        texts = {side.value for side in sides if isinstance(side, ast.Constant)}
        of_kind = any(isinstance(side, ast.Attribute) and side.attr == "kind" for side in sides)
        is_member = any(isinstance(op, ast.In | ast.NotIn) for op in node.ops)
        yield from (str(word) for word in texts & words if of_kind or is_member)
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
        kinds = ast.unparse(node.args[1])
        if re.search(r"Expert|\bSettings\b|\.settings\b", ast.unparse(node)):
            yield f"the class of an expert: {kinds}"


def test_nobody_outside_experts_asks_what_kind_an_expert_is():
    assert recognised_kinds(PACKAGE) == []


@pytest.mark.parametrize(
    "line",
    [
        "from submission.experts.sa2va.expert import Sa2VAExpert",
        "from submission.experts import mask_files",
        'named = "masks" in entry',
        'known = entry.kind == "sa2va"',
        "def f(x):\n    return isinstance(x, Sa2VAExpert)",
        "def f(x):\n    return isinstance(x.settings, Settings)",
    ],
)
def test_a_question_for_the_kind_is_noticed(tmp_path, line):
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "a.py").write_text(line)
    (tmp_path / "experts").mkdir()
    (tmp_path / "experts" / "a.py").write_text(line)  # there it may be
    assert len(recognised_kinds(tmp_path)) == 1


# --- captions ------------------------------------------------------------------------------------
def test_every_module_has_a_caption():
    modules = [*PACKAGE.rglob("*.py"), *(ROOT / "scripts").rglob("*.py")]
    assert [str(path) for path in modules if not caption(path).endswith((".", ":", "`."))] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_draw_the_tree_with_its_captions(page):
    text = (ROOT / page).read_text()
    blocks = re.findall(r"^```\w*\n(submission/ .*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1, f"{page} needs one fenced block that begins with 'submission/ '"
    expected = draw(PACKAGE, files=PAGES[page])
    assert blocks[0].splitlines() == expected, "run: python -m scripts.file_tree"


# --- commands ------------------------------------------------------------------------------------
def verbs(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers of all verbs, and of the verbs below them, that do something themselves."""
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not groups:
        yield parser
    for group in groups:
        for below in group.choices.values():
            yield from verbs(below)


def test_the_help_of_every_verb_shows_a_runnable_example():
    from submission.cli import build_parser

    parsers = list(verbs(build_parser()))
    assert len(parsers) > 1
    for parser in parsers:
        verb = parser.prog.partition(" ")[2]
        assert f"mevis-submission {verb}" in (parser.epilog or ""), parser.prog


def test_make_has_the_targets_that_readme_names():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", code_in((ROOT / "README.md").read_text())))
    assert {"submit", "test"} <= named
    assert named <= targets


def test_readme_links_every_page_and_pages_name_files_that_are_there():
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert pages == set(re.findall(r"docs/\w+\.md", (ROOT / "README.md").read_text()))
    named = {
        (page, path)
        for page in ["README.md", *pages]
        for path in re.findall(
            r"\b(?:docs|scripts|submission|tests)/[\w/]+(?:\.\w+)+", (ROOT / page).read_text()
        )
    }
    missing = [(page, path) for page, path in sorted(named) if not (ROOT / path).exists()]
    assert missing == []


def code_in(markdown: str) -> str:
    """Only what stands in fences and backticks."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", markdown, re.DOTALL))


# --- dependencies --------------------------------------------------------------------------------
def locked(*names: str) -> dict[str, str]:
    """Package to version in lock files; every requirement must be exact and hashed."""
    versions: dict[str, str] = {}
    for name in names:
        text = (ROOT / "requirements" / name).read_text().replace("\\\n", " ")
        for line in filter(None, (line.partition("#")[0].strip() for line in text.splitlines())):
            package, version = re.match(r"([a-z0-9.-]+)==(\S+)", line).groups()
            assert "--hash=sha256:" in line, f"{name}: {package} has no hash"
            assert versions.setdefault(package, version) == version, f"{package}: two versions"
    return versions


def test_the_locks_hold_every_dependency_in_the_same_version_and_no_torchvision_or_einops():
    cpu = locked("build.txt", "torch-cpu.txt", "cpu.txt")
    cuda = locked("build.txt", "cuda.txt")
    assert not {"einops", "torchvision"} & {*cpu, *cuda}
    assert cpu.pop("torch") == f"{cuda['torch']}+cpu"
    assert cpu.items() <= cuda.items()
    older = locked("build.txt", "cuda12.txt")
    differing = {name for name, _ in older.items() ^ cuda.items()}
    assert "torch" in differing
    assert all(name.startswith(("cuda-", "nvidia-", "torch", "triton")) for name in differing)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], *extras["ray"]]
    assert {re.split(r"[<>=~]", line)[0] for line in wanted} <= set(cuda)


# --- the package ---------------------------------------------------------------------------------
def test_every_file_that_is_no_module_is_carried():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["submission"]
    carried = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    others = [path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".py"]
    missing = {path for path in others if "__pycache__" not in path.parts} - carried
    assert missing == set()


def test_the_version_stands_the_same_in_package_changes_and_citation():
    from submission import __version__

    changes = re.search(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert (changes[1], cited[1]) == (__version__, __version__)


def test_actions_are_pinned_by_commit_and_ci_runs_the_script_of_everywhere():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", one) for one in used)
    assert re.findall(r"run: (.*)", text) == [".ci/run"]


# --- no verdict hangs on the speed of the machine ------------------------------------------------
IN_SECONDS = re.compile(
    r"timeout=\d|\.(wait|join|result)\(\d|WebDriverWait\(\w+, \d|monotonic\(\) \+"
)


def limits_of_their_own(tests: Path) -> list[str]:
    """One line for each limit in seconds that is not the one in waiting.py."""
    return [
        f"{path.relative_to(tests)}:{number}"
        for path in sorted(tests.rglob("*.py"))
        if path.name not in ("waiting.py", Path(__file__).name)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if IN_SECONDS.search(line)
    ]


def test_only_one_place_says_how_long_tests_wait():
    assert limits_of_their_own(ROOT / "tests") == []


@pytest.mark.parametrize(
    "line",
    ["p.communicate(timeout=60)", "e.wait(20)", "until = time.monotonic() + 5",
     "WebDriverWait(w, 5)"],
)  # fmt: skip
def test_a_limit_of_its_own_is_noticed(tmp_path, line):
    (tmp_path / "test_a.py").write_text(f"\n{line}\n")
    assert limits_of_their_own(tmp_path) == ["test_a.py:2"]
