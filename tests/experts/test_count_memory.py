"""Counts of work that are remembered: a network is laid out once, and never for a known count."""

import subprocess
import sys

import pytest

from submission.experts import count_memory
from submission.experts.count_memory import Counts, stages_of
from submission.models.unit_calls import Calls, Unit
from submission.models.workload import Work

ONE, TWO = Unit("part", "image", (1,)), Unit("part", "image", (2,))
MODULE = "submission.models.workload"


class Network:
    """Counts how often it is laid out, and how often something is counted on it."""

    def __init__(self):
        self.made = self.counted = 0

    def lay_out(self):
        self.made += 1
        return self.count

    def count(self, unit):
        self.counted += 1
        return Work(flop=10.0 * unit.numbers[0], attention=1.5, calls=3)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def network():
    return Network()


def counts_of(network, sizes="small"):
    """As a new process would have them."""
    count_memory.IN_THIS_PROCESS.clear()
    return Counts(sizes, network.lay_out, MODULE)


def test_what_was_counted_is_not_counted_again(network):
    stages = {"seeing": Calls({ONE: 3, TWO: -1})}
    told = stages_of(stages, {"part": counts_of(network)})
    assert told == {"seeing": Work(flop=10, attention=3, calls=6)}
    assert (network.made, network.counted) == (1, 2)
    assert stages_of(stages, {"part": counts_of(network)}) == told
    assert (network.made, network.counted) == (1, 2)


def test_what_is_new_is_added_to_what_is_known(network):
    counts_of(network).learn([ONE])
    later = counts_of(network)
    later.learn([ONE, TWO])
    assert network.counted == 2
    assert later(TWO).flop == 20


def test_other_sizes_have_counts_of_their_own(network):
    counts_of(network).learn([ONE])
    counts_of(network, "large").learn([ONE])
    assert network.counted == 2
    assert counts_of(network).file != counts_of(network, "large").file


@pytest.mark.parametrize("content", ["", "{", "[]", '{"image 1": [1]}', '{"image 1": "x"}', "\0"])
def test_a_damaged_file_is_counted_anew(network, content):
    counts = counts_of(network)
    counts.learn([ONE])
    counts.file.write_text(content)
    again = counts_of(network)
    again.learn([ONE])
    assert network.counted == 2
    assert again(ONE) == Work(flop=10, attention=1.5, calls=3)
    counts_of(network).learn([ONE])
    assert network.counted == 2, "the file is whole again"


def test_a_user_without_a_home_counts_every_time(network, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    for _ in range(2):
        counts_of(network).learn([ONE])
    assert network.counted == 2


def test_known_counts_need_no_torch():
    code = "import sys, submission.experts.sa2va.cost, submission.experts.propagate.cutie_cost, "
    code += "submission.experts.uninext_cutie.cost; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
