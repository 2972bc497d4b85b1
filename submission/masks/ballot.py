"""Who votes, how and with what weight; and the answers to a sentence that a vote is cast on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from submission.dataset.records import Expression, Video
from submission.masks.store import Prediction, PredictionStore
from submission.masks.track import Track
from submission.masks.voting import Rule, vote_tracks

Answers = Mapping[str, Prediction]  # to one sentence, by member, in the order of the members


@dataclass(frozen=True)
class Voting:
    """A vote as a recipe has it."""

    members: tuple[str, ...]
    weights: tuple[float, ...]  # of each member
    rule: Rule
    skip_missing: bool  # those that answer a sentence vote on it; else all have to

    def read(self, store: PredictionStore, video: Video, expression: Expression) -> Answers:
        """Return the answers to a sentence; raise InputError as the store, and for missing ones."""
        voters = [
            member
            for member in self.members
            if not self.skip_missing or store.path(member, video.name, expression.id).exists()
        ]
        return {member: store.read(member, video, expression) for member in voters}

    def weights_of(self, voters: Iterable[str]) -> list[float]:
        """Return what each of these members counts."""
        known = dict(zip(self.members, self.weights, strict=True))
        return [known[voter] for voter in voters]

    def vote(self, answers: Answers) -> Track:
        """Return the vote of those that answered."""
        tracks = [answer.track for answer in answers.values()]
        return vote_tracks(tracks, self.rule, self.weights_of(answers))
