"""Count the files that somebody touches who adds a rule, a kind, a procedure, a backbone or a verb.

`python -m scripts.extension_points`. Nothing is known beforehand: of every member that is there it
is looked up which files of submission/ name it. A file names a member when its code (docstrings
and comments apart) imports the member's own module, or has as a string its name, its module or
anything below that. So a word that means something else, too, counts too much and never too little;
only of verbs the names are looked for where the command line is, because stages have the same ones.
The count of a family is that of the member that is named in the fewest: who adds one can do it like
that. A member's own folder counts as one file. What a command draws anew (the schema of a recipe,
the trees of files) does not count.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "submission"
COMMAND_LINE = ("__main__.py", "cli.py", "terminal", "verbs")


@dataclass(frozen=True)
class Member:
    """One rule, kind, procedure, backbone or verb that is there."""

    name: str  # the word by which recipes and code call it
    home: Path  # the module or folder that is its own, or that of a value
    module: str = ""  # its own module or package; empty for a value among others
    rooms: tuple[str, ...] = ()  # where its name means it; empty for everywhere


@dataclass(frozen=True)
class Family:
    """Members of one sort, and how many files one more of them may take."""

    words: str
    goal: int
    members: tuple[Member, ...]


def families(package: Path = PACKAGE) -> tuple[Family, ...]:
    """Find the members of each family where the program itself finds them."""
    registry = package / "experts/registry.py"
    kinds = {name: home_of(module, package) for name, module in literal(registry, "KINDS").items()}
    voting = package / "masks/voting.py"
    ways = package / "models/sa2va/procedures.py"
    folders = [p.parent for p in sorted((package / "models/sa2va").glob("*/backbone.py"))]
    return (
        Family("a vote rule", 1, tuple(Member(n, voting) for n in literal_type(voting, "Rule"))),
        Family(
            "an expert kind", 2,
            tuple(Member(name, path, dotted(path, package)) for name, path in kinds.items()),
        ),
        Family(
            "a procedure", 1,
            tuple(Member(name, ways) for name in keys(ways, "PROCEDURES")),
        ),
        Family(
            "a backbone", 2,
            tuple(Member(folder.name, folder, dotted(folder, package)) for folder in folders),
        ),
        Family(
            "a verb", 1,
            tuple(
                Member(name, path, dotted(path, package), COMMAND_LINE)
                for name, path in verbs(package)
            ),
        ),
    )  # fmt: skip


def touched(member: Member, package: Path = PACKAGE) -> tuple[Path, ...]:
    """The files that name a member, its own first; a folder of its own is one."""
    others = [
        path
        for path in sorted(package.rglob("*.py"))
        if path != member.home
        and member.home not in path.parents
        and names(path, member, path.relative_to(package).parts[0])
    ]
    return (member.home, *others)


def names(path: Path, member: Member, room: str) -> bool:
    """Whether a room's file imports a member's module, or has it or its name as a string."""
    texts, modules = words_of(path.read_text())
    if member.name in texts and (not member.rooms or room in member.rooms):
        return True
    return bool(member.module) and any(
        word == member.module or word.startswith(f"{member.module}.") for word in texts | modules
    )


@cache
def words_of(code: str) -> tuple[frozenset[str], frozenset[str]]:
    """The strings of code, and the modules that it imports."""
    tree = ast.parse(code)
    return frozenset(strings(tree)), frozenset(imported(tree))


def strings(tree: ast.AST) -> Iterator[str]:
    """The strings of code; those that are a statement of their own are docstrings."""
    spoken = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in spoken
        ):
            yield node.value


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names of modules that are imported, and of what is taken from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def verbs(package: Path) -> Iterator[tuple[str, Path]]:
    """The names of verbs and of their groups, and in which file."""
    for path in sorted((package / "verbs").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Verb", "Group"):
                yield str(ast.literal_eval(node.args[0])), path


def literal(path: Path, name: str) -> Mapping[str, str]:
    """The dictionary of strings that a module assigns to a name."""
    found: Mapping[str, str] = ast.literal_eval(value_of(path, name))
    return found


def keys(path: Path, name: str) -> list[str]:
    """The keys of a dictionary that a module assigns to a name."""
    table = value_of(path, name)
    assert isinstance(table, ast.Dict)
    return [key.value for key in table.keys if isinstance(key, ast.Constant)]


def literal_type(path: Path, name: str) -> list[str]:
    """The words of a Literal that a module assigns to a name."""
    return list(strings(value_of(path, name)))


def value_of(path: Path, name: str) -> ast.expr:
    """What a module assigns to a name."""
    for node in ast.parse(path.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = getattr(node, "value", None)
            if isinstance(value, ast.expr):
                return value
    raise LookupError(f"{path} assigns nothing to {name}")


def home_of(module: str, package: Path) -> Path:
    """The file of a module, or the folder of a package."""
    path = package.parent / Path(*module.split("."))
    return path if path.is_dir() else path.with_suffix(".py")


def dotted(path: Path, package: Path) -> str:
    """The name by which a module or package is imported."""
    return ".".join(path.relative_to(package.parent).with_suffix("").parts)


def fewest(family: Family, package: Path = PACKAGE) -> tuple[Path, ...]:
    """The files of the member that is named in the fewest."""
    return min((touched(member, package) for member in family.members), key=len)


def main() -> int:
    """Print every family's count, its goal and its files; return 1 where a goal is missed."""
    missed = 0
    for family in families():
        files = fewest(family)
        missed += len(files) > family.goal
        where = ", ".join(path.relative_to(ROOT).as_posix() for path in files)
        print(f"{family.words}: {len(files)} (goal {family.goal}): {where}")
        for member in family.members:
            print(f"  {member.name}: {len(touched(member))}")
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
