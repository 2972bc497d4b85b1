"""Which experts go through the videos together; for a run, a dry run and limits alike; no torch.

Experts of one pass answer a video one after another, so that its frames are decoded once and what
an image encoder made of them is there for all. An expert that reads what others have stored goes
in a later pass than they.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from submission.errors import InputError
from submission.experts.expert import Expert, Resources

MODELS_SHARE = 0.6  # of the free memory that models of one pass may take; the rest is for work

Names = tuple[str, ...]


@dataclass(frozen=True)
class Pass:
    """Experts that go through the videos together, in the order of the recipe."""

    experts: tuple[Expert, ...]
    models: Mapping[str, float]  # those that stay loaded side by side, with their bytes

    def beside(self, expert: Expert) -> float:
        """Bytes of the models that stay loaded beside that of one of its experts."""
        return sum(self.models.values()) - self.models.get(resources_of(expert).model, 0)


@dataclass(frozen=True)
class Schedule:
    """The passes of a run, in their order."""

    passes: tuple[Pass, ...] = ()

    @property
    def names(self) -> tuple[Names, ...]:
        """The experts of each pass, by name."""
        return tuple(tuple(expert.name for expert in one.experts) for one in self.passes)


def schedule(
    experts: Sequence[Expert], free_bytes: Callable[[], float], *, share: bool = True,
    unknown_are_equal: bool = False,
) -> Schedule:  # fmt: skip
    """Put experts together that can share; models of one pass take a share of what is free.

    `free_bytes` is asked where it matters: memory of the device before anything is loaded. A model
    larger than its share has a pass of its own. Without `share` every expert goes alone. Encoders
    that cannot be compared yet share nothing, or with `unknown_are_equal` all they can.
    """
    named = {expert.name: expert for expert in experts}
    needs = {expert.name: resources_of(expert) for expert in experts}
    if unknown_are_equal:
        needs = {name: need.with_known_encoder() for name, need in needs.items()}
    several = len({need.model for need in needs.values() if need.model}) > 1
    budget = MODELS_SHARE * free_bytes() if share and several else 0
    passes: list[Names] = []
    for waiting in in_turn(experts):
        layer = [expert.name for expert in waiting]
        layer.sort(key=lambda name: bool(needs[name].model))  # what needs no model is told at once
        apart = [(name,) for name in layer]
        passes += make_passes({name: needs[name] for name in layer}, budget) if share else apart
    return Schedule(tuple(_pass(one, named, needs) for one in passes))


def _pass(names: Names, experts: Mapping[str, Expert], needs: Mapping[str, Resources]) -> Pass:
    models = {needs[name].model: needs[name].weights for name in names if needs[name].model}
    return Pass(tuple(experts[name] for name in names), models)


def make_passes(needs: Mapping[str, Resources], budget_bytes: float) -> list[Names]:
    """Return names put together; models of one pass take at most `budget_bytes`."""
    passes: list[list[str]] = []
    for name, need in needs.items():
        fitting = (one for one in passes if _fits(need, [needs[n] for n in one], budget_bytes))
        joined = next(fitting, None)
        if joined is None:
            passes.append([name])
        else:
            joined.append(name)
    return [tuple(one) for one in passes]


def _fits(need: Resources, others: Sequence[Resources], budget_bytes: float) -> bool:
    if not need.model:
        return False
    weights = {other.model: other.weights for other in others}
    if need.model in weights:
        return True
    if not others[0].model or sum(weights.values()) + need.weights > budget_bytes:
        return False
    theirs, mine = others[0].encoder, need.encoder
    return bool(mine and theirs and mine() and mine() == theirs())


def in_turn(experts: Sequence[Expert]) -> Iterator[list[Expert]]:
    """Give the experts in layers, each in a later one than those whose predictions it reads.

    Raises InputError where some wait for one another.
    """
    left = {expert.name: expert for expert in experts}
    while left:
        ready = [one for one in left.values() if not left.keys() & set(one.after())]
        if not ready:
            raise InputError(f"experts that wait for one another: {', '.join(left)}")
        yield ready
        for one in ready:
            del left[one.name]


def resources_of(expert: Expert) -> Resources:
    """What an expert needs; of one whose checkpoint is nowhere, that it shares with nobody."""
    try:
        return expert.resources()
    except InputError:
        return Resources(f"the model of {expert.name}", 0, lambda: None)
