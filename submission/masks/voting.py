"""Pixel-level voting: several masks of one sentence become one.

Pure and exact: tracks in, a track out, whole-number arithmetic, so neither rounding nor the
order of the members can change a pixel. `decision_table` defines the rules.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from submission.masks.label_runs import overlay
from submission.masks.track import Track

Rule = Literal["majority", "paper"]
MOST_MEMBERS = 16  # a table of 2**16 answers; more members would need another method


def decision_table(
    num_members: int, rule: Rule, weights: Sequence[float] | None = None
) -> NDArray[np.bool_]:
    """Return the answer for every combination of votes, bool (2**K,) for K members.

    Bit k of an index is the vote of member k. The rules, with Y the weight of the members that
    vote for foreground, and W the weight of all K members (without weights, 1 each):

    - "majority": foreground where Y > W / 2. A tie, possible with an even K or with weights, is
      background: 2 of 3, 2 of 2, 3 of 4, 3 of 5.
    - "paper": foreground where Y > (K + 1) / 2, the weights rescaled to W = K. This is the rule
      as printed in the section on aggregation of arXiv 2504.05178, stricter than a majority:
      3 of 3, 2 of 2, 3 of 4, 4 of 5.
    - One member alone (K = 1) is its own answer by both rules.

    A weight means its decimal digits: 0.1 is exactly one tenth. Raises ValueError for no or too
    many members, weights of another number, or a weight that is not positive and finite.
    """
    if not 1 <= num_members <= MOST_MEMBERS:
        raise ValueError(
            f"a vote has 1 to {MOST_MEMBERS} members, not {num_members}; "
            "vote in two rounds, or leave the weakest members out"
        )
    shares = _whole_numbers(num_members, weights)
    total = sum(shares)
    sums = [0]  # the weight of the members in each combination
    for share in shares:
        sums += [weight + share for weight in sums]
    if num_members == 1 or rule == "majority":
        return np.array([2 * weight > total for weight in sums])
    if rule == "paper":
        threshold = (num_members + 1) * total
        return np.array([2 * num_members * weight > threshold for weight in sums])
    raise ValueError(f'the rule is {rule!r}; it must be "majority" or "paper"')


def vote_tracks(
    members: Sequence[Track], rule: Rule, weights: Sequence[float] | None = None
) -> Track:
    """Return the vote of K tracks as a track, without making any array.

    Between two places where some member changes, all pixels have the same votes, so the table
    is asked once for each such run: ten times as fast at 1080p as pixel by pixel. Raises ValueError
    as `decision_table`, and for members of different shapes.
    """
    table = decision_table(len(members), rule, weights)
    size, num_frames = members[0].size, len(members[0])
    if any((member.size, len(member)) != (size, num_frames) for member in members):
        shapes = [(len(member), *member.size) for member in members]
        raise ValueError(f"members have different shapes: {shapes}")
    runs = overlay([member.edges for member in members], size, num_frames)
    return Track.from_edges(size, num_frames, runs.where(table[runs.labels]))


def _whole_numbers(num_members: int, weights: Sequence[float] | None) -> list[int]:
    """Return the weights as whole numbers in the same proportion."""
    if weights is None:
        return [1] * num_members
    if len(weights) != num_members:
        raise ValueError(f"{len(weights)} weights were given for {num_members} members")
    for index, weight in enumerate(weights):
        if not (math.isfinite(weight) and weight > 0):
            raise ValueError(f"the weight of member {index} is {weight}; it must be above zero")
    exact = [Fraction(str(weight)) for weight in weights]
    common = math.lcm(*(weight.denominator for weight in exact))
    return [int(weight * common) for weight in exact]
