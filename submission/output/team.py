"""team.json: what some challenges want to know beside the masks, and what is wrong with it."""

from collections.abc import Mapping
from typing import Any

from submission.errors import InputError
from submission.files.strict_json import parse_json

AGREEMENT = "By submitting the test results, I agree with the challenge terms and policies."


def team_faults(team: Any) -> list[str]:
    """Return everything that is wrong in a team record, one sentence each."""
    if not isinstance(team, Mapping):
        return ["it must be an object"]
    faults = []
    if team.get(AGREEMENT) is not True:
        faults.append(f'the key "{AGREEMENT}" must be true')
    if not _is_text(team.get("team_name")):
        faults.append('"team_name" must be text')
    if not (_is_text(team.get("email")) and "@" in team["email"]):
        faults.append('"email" must be an address')
    return faults + _member_faults(team.get("members"))


def team_file_faults(content: bytes) -> list[str]:
    """Return everything that is wrong with the bytes of a team.json."""
    try:
        return team_faults(parse_json(content, "team.json"))
    except InputError as error:
        return [str(error).removeprefix("team.json: ")]


def _member_faults(members: Any) -> list[str]:
    if not isinstance(members, list) or not members:
        return ['"members" must be a list with a name and an affiliation for each member']
    return [
        f'member {number} must have "{key}"'
        for number, member in enumerate(members, start=1)
        for key in ("name", "affiliation")
        if not (isinstance(member, Mapping) and _is_text(member.get(key)))
    ]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
