"""The driver's loop, over workers that only take time: order, losses, joining and giving up."""

import random
from collections import Counter

import pytest

from scripts.benchmark.simulated_crew import SimulatedCrew
from submission.cluster.crew import Answered, Part
from submission.cluster.dispatcher import Dispatcher, Patience
from submission.cluster.queue import Task, TaskQueue, seconds_together
from submission.errors import Fault, InputError

SIZES = {"short": 1.0, "longest": 9.0, "long": 5.0, "other": 5.0}
TASKS = [Task(name, size) for name, size in SIZES.items()]


def as_long_as_it_is(worker, task):
    return task.work


def dispatch(crew, tasks=TASKS, refusal=lambda facts: "", **patience):
    said = []
    dispatcher = Dispatcher(crew, refusal, said.append, Patience(**patience))
    results = list(dispatcher.work_through(tasks))
    answered = [one.task.name for one in results if isinstance(one, Answered)]
    faults = [one for one in results if isinstance(one, Fault)]
    return answered, faults, said, dispatcher


def test_the_largest_goes_first_and_of_equal_ones_the_earlier():
    queue = TaskQueue(TASKS)
    assert [queue.next().name for _ in TASKS] == ["longest", "long", "other", "short"]
    assert queue.next() is None


def test_a_task_goes_back_to_its_place_until_it_has_cost_too_many_workers():
    queue = TaskQueue(TASKS, most_losses=2)
    first, _ = queue.next(), queue.next()
    assert queue.lost(first)
    assert queue.next() == first
    assert not queue.lost(first)
    assert len(queue) == 2


def test_one_is_in_flight_for_each_worker_and_the_next_goes_to_whoever_is_free():
    crew = SimulatedCrew([0, 0], as_long_as_it_is)
    answered, faults, said, _ = dispatch(crew)
    given = [("w0", "longest"), ("w1", "long"), ("w1", "other"), ("w0", "short")]
    assert [one[1:] for one in crew.given] == given
    assert sorted(answered) == sorted(SIZES)
    assert crew.now() == 10
    assert (faults, said) == ([], [])


@pytest.mark.parametrize("workers", [1, 2, 5, 40])
def test_a_plan_knows_when_the_loop_will_be_done(workers):
    chance = random.Random(workers)
    tasks = [Task(str(number), chance.random()) for number in range(30)]
    seconds = {task.name: task.work + chance.random() for task in tasks}  # not in that order
    crew = SimulatedCrew([0] * workers, lambda worker, task: seconds[task.name])
    dispatch(crew, tasks)
    assert seconds_together(tasks, seconds, workers) == pytest.approx(crew.now())
    assert crew.now() >= max(max(seconds.values()), sum(seconds.values()) / workers) - 1e-9


def test_what_a_lost_worker_held_is_done_by_another_and_it_may_come_back():
    crew = SimulatedCrew([0, 0], as_long_as_it_is, start=2.0, losses=[(4.0, "w0")])
    answered, faults, said, dispatcher = dispatch(crew)
    assert sorted(answered) == sorted(SIZES)
    assert Counter(task for *_, task in crew.given) == {**dict.fromkeys(SIZES, 1), "longest": 2}
    assert faults == []
    assert said == ["worker w0 was lost over longest: killed"]
    assert [one.worker for one in dispatcher.tally.lost] == ["w0"]


def test_a_task_that_takes_three_workers_is_a_fault_and_the_others_are_done():
    crew = SimulatedCrew([0], lambda w, task: None if task.name == "long" else task.work)
    answered, faults, said, _ = dispatch(crew)
    assert sorted(answered) == ["longest", "other", "short"]
    assert [str(one) for one in faults] == ["video long: it took 3 workers; the last one: killed"]
    assert len(said) == 3


def test_workers_that_die_of_everything_end_the_run_before_all_videos_are_faults():
    crew = SimulatedCrew([0, 0], lambda worker, task: None)
    tasks = [Task(str(number), 1.0) for number in range(50)]
    with pytest.raises(InputError, match="3 videos, one after another, took 3 workers each"):
        dispatch(crew, tasks)
    assert len(crew.given) <= 3 * 3 + 3  # the other worker was at its own third


def test_what_came_of_a_task_before_its_worker_was_lost_is_kept():
    crew = SimulatedCrew([0], as_long_as_it_is, losses=[(3.5, "w0")], parts=9)
    parts = []
    dispatcher = Dispatcher(crew, lambda facts: "", lambda words: None)
    for event in dispatcher.work_through([Task("long", 9.0)]):
        parts += [crew.now()] * isinstance(event, Part)
    assert parts == [1, 2, 3, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5]


def test_losses_between_which_a_task_comes_on_are_not_its_fault():
    losses = [(1.5 * number, "w0") for number in range(1, 6)]
    crew = SimulatedCrew([0], as_long_as_it_is, losses=losses, parts=9)
    answered, faults, said, _ = dispatch(crew, [Task("long", 9.0)])
    assert (answered, faults, len(said)) == (["long"], [], 5)


def test_a_worker_that_joins_late_takes_part():
    crew = SimulatedCrew([0, 3], as_long_as_it_is)
    dispatch(crew)
    assert [(at, worker) for at, worker, _ in crew.given][:2] == [(0, "w0"), (3, "w1")]


def test_nobody_is_waited_for_without_end():
    crew = SimulatedCrew([1000.0], as_long_as_it_is)
    with pytest.raises(InputError, match="no worker was ready for 60 s"):
        dispatch(crew, ready_within=60.0)
    assert 60 <= crew.now() < 100
    dispatch(SimulatedCrew([50.0], as_long_as_it_is), ready_within=60.0)


def test_when_all_are_lost_for_good_the_run_ends_and_says_why():
    crew = SimulatedCrew([0], as_long_as_it_is, losses=[(10.0, "w0")], forget=True)
    with pytest.raises(InputError, match=r"(?s)no worker was ready for 60 s:\n  w0: killed"):
        dispatch(crew, ready_within=60.0)


def test_one_that_must_not_work_gets_nothing_to_do():
    crew = SimulatedCrew([0, 0], as_long_as_it_is)
    answered, _, said, dispatcher = dispatch(
        crew, refusal=lambda facts: "it has other weights" if facts["name"] == "w0" else ""
    )
    assert sorted(answered) == sorted(SIZES)
    assert {worker for _, worker, _ in crew.given} == {"w1"} == set(dispatcher.facts)
    assert said == ["worker w0 is refused: it has other weights"]


def test_a_run_whose_workers_were_all_refused_ends_at_once():
    crew = SimulatedCrew([0, 0], as_long_as_it_is)
    with pytest.raises(InputError, match="no worker was ready that may work:\n  w0: no weights"):
        dispatch(crew, refusal=lambda facts: "no weights")
    assert crew.now() < 60


def test_the_first_worker_is_known_before_it_is_admitted():
    crew = SimulatedCrew([7.0], as_long_as_it_is)
    dispatcher = Dispatcher(crew, lambda facts: "", lambda words: None)
    assert dispatcher.first() == {"name": "w0"}
    assert crew.ready() == 0
    ended = [type(one) for one in dispatcher.work_through(TASKS)]
    assert ended.count(Answered) == len(TASKS)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_dies_every_task_ends_once(seed):
    chance = random.Random(seed)
    workers = chance.randint(1, 6)
    losses = [(chance.uniform(0, 60), f"w{chance.randrange(workers)}") for _ in range(12)]
    tasks = [Task(str(number), chance.uniform(1, 9)) for number in range(30)]
    arrivals = [chance.uniform(0, 20) for _ in range(workers)]
    crew = SimulatedCrew(arrivals, as_long_as_it_is, start=1.0, losses=losses)
    answered, faults, _, dispatcher = dispatch(crew, tasks, given_up_in_a_row=99)
    ended = [*answered, *(one.where.removeprefix("video ") for one in faults)]
    assert Counter(ended) == {task.name: 1 for task in tasks}
    lost_over = sum(one.task is not None for one in dispatcher.tally.lost)
    assert len(crew.given) == len(answered) + lost_over
