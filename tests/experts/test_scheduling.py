"""Which experts go through the videos together, by hand."""

from dataclasses import dataclass

import pytest

from submission.errors import InputError
from submission.experts.expert import Expert, Resources
from submission.experts.scheduling import make_passes, schedule
from submission.experts.sharing import count_frames

GB = 10**9


def needs(model: str, encoder: str | None, gigabytes: int) -> Resources:
    return Resources(model, gigabytes * GB, lambda: encoder)


A, B = needs("a", "hiera", 8), needs("b", "hiera", 16)
OTHER, GIVEN = needs("c", "another", 2), Resources()


@pytest.mark.parametrize(
    ("wanted", "budget", "expected"),
    [
        ([A, A, A], 1, [(0, 1, 2)]),  # one model, however large
        ([A, B], 24 * GB, [(0, 1)]),
        ([A, B], 23 * GB, [(0,), (1,)]),
        ([A, B, A, B], 23 * GB, [(0, 2), (1, 3)]),  # no model is loaded twice
        ([A, OTHER], 99 * GB, [(0,), (1,)]),
        ([A, GIVEN, A, GIVEN], 99 * GB, [(0, 2), (1,), (3,)]),
        ([Resources("a"), Resources("b")], 99 * GB, [(0,), (1,)]),  # they have nothing to share
        ([needs("a", None, 1), needs("b", None, 1)], 99 * GB, [(0,), (1,)]),  # not known yet
        ([A, B, needs("d", "hiera", 8)], 17 * GB, [(0, 2), (1,)]),
        ([], 1, []),
    ],
)
def test_who_shares(wanted, budget, expected):
    named = {str(number): need for number, need in enumerate(wanted)}
    passes = make_passes(named, budget)
    assert passes == [tuple(map(str, one)) for one in expected]


def test_encoders_are_compared_only_where_models_differ():
    def compare():
        raise AssertionError("it reads weights for nothing")

    one = Resources("a", GB, compare)
    assert make_passes({"x": one, "y": one, "given": GIVEN}, 9 * GB) == [("x", "y"), ("given",)]


@dataclass
class Asked(Expert):
    """An expert that is asked what it needs, and no more."""

    name: str
    needs: Resources = GIVEN
    waits_for: tuple[str, ...] = ()

    def identity(self):
        return {}

    def frames(self, video):
        return ()

    def predict(self, video, session):
        return iter(())

    def after(self):
        return self.waits_for

    def resources(self):
        if not isinstance(self.needs, Resources):
            raise self.needs
        return self.needs


def names(*experts: Asked, free: float = 99 * GB, **how) -> tuple:
    return schedule(experts, lambda: free, **how).names


def test_an_expert_goes_after_those_whose_predictions_it_reads():
    late, source = Asked("late", A, ("source",)), Asked("source", A)
    other, last = Asked("other", A), Asked("last", GIVEN, ("late", "other"))
    passes = (("source", "other"), ("late",), ("last",))
    assert names(late, source, other, last) == passes
    assert names(late, other) == (("late", "other"),)  # the source has nothing left to do
    with pytest.raises(InputError, match="wait for one another: a, b"):
        names(Asked("a", A, ("b",)), Asked("b", A, ("a",)))


def test_models_side_by_side_take_a_share_of_what_is_free():
    both = Asked("a", A), Asked("b", B)
    assert names(*both, free=41 * GB) == (("a", "b"),)
    assert names(*both, free=39 * GB) == (("a",), ("b",))
    assert names(*both, share=False) == (("a",), ("b",))
    (one,) = schedule(both, lambda: 41 * GB).passes
    assert [one.beside(expert) for expert in both] == [16 * GB, 8 * GB]


def test_what_cannot_be_compared_yet_is_equal_only_when_asked_for():
    both = Asked("a", needs("a", None, 1)), Asked("b", needs("b", None, 1))
    assert names(*both) == (("a",), ("b",))
    assert names(*both, unknown_are_equal=True) == (("a", "b"),)
    lost = Asked("lost", InputError("nowhere"))
    assert names(lost, *both, unknown_are_equal=True)[0][0] == "lost"


def test_frames_are_counted_once_for_a_pass(split):
    # dogs has 3 frames, cups has 2
    dogs, cups = split.videos
    todo = {"a": [dogs, cups], "b": [dogs]}
    assert count_frames([("a", "b")], todo) == 5
    assert count_frames([("a",), ("b",)], todo) == 8
    assert count_frames([("a", "b"), ("given",)], {"b": [dogs]}) == 3


def test_what_needs_no_model_goes_first():
    experts = [Asked("model", A), Asked("given", GIVEN), Asked("other", B)]
    plan = schedule(experts, lambda: 99 * GB)
    assert plan.names == (("given",), ("model", "other"))
