"""What is known of each competition, from competitions.toml, and whether a split is what it asks.

Pure but for reading the file that comes along.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from submission.dataset.records import Split
from submission.errors import Fault

FILE = Path(__file__).parents[1] / "competitions.toml"
SERVER = "https://www.codabench.org"  # with www: the other name sends on, and drops the token


@dataclass(frozen=True)
class Profile:
    """A competition; a number of None, or an empty text, is not known."""

    id: int
    title: str
    version: str  # of the data: v1 or v2
    split: str
    team: bool
    columns: tuple[str, ...]
    source: str
    videos: int | None = None
    sentences: int | None = None
    ends: str = ""


@cache
def profiles() -> dict[int, Profile]:
    """Return all profiles by the competition's number."""
    tables = tomllib.loads(FILE.read_text(encoding="utf-8"))["competition"]
    read = [Profile(**{**table, "columns": tuple(table["columns"])}) for table in tables]
    return {profile.id: profile for profile in read}


def fitting(split: Split) -> list[Profile]:
    """Return the competitions that ask for exactly this split, and are not known to be over."""
    return [one for one in profiles().values() if not one.ends and not misfits(one, split)]


def misfits(profile: Profile, split: Split) -> list[Fault]:
    """Return in what a split differs from the one that a competition asks for."""
    faults = []
    version = split.version
    if version != profile.version:
        what = f"{split.meta_file.name} is MeViS {version}; this competition asks {profile.version}"
        faults.append(Fault(f"split {split.name}", _with_others(what, version)))
    asked = {"videos": profile.videos, "sentences": profile.sentences}
    found = {"videos": len(split.videos), "sentences": split.num_sentences}
    faults += [
        Fault(f"split {split.name}", f"{found[name]:,} {name}; this competition asks {count:,}")
        for name, count in asked.items()
        if count is not None and count != found[name]
    ]
    return faults


def _with_others(what: str, version: str) -> str:
    fitting = [one for one in profiles().values() if one.version == version]
    names = ", ".join(f"{one.id} ({one.title})" for one in fitting)
    return f"{what}. Competitions on {version}: {names}"
