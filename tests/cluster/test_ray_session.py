"""How a machine or a cluster is divided among workers, and what is said where there is no Ray."""

import sys

import pytest

from submission.cli import main
from submission.cluster.host import Host
from submission.cluster.ray_session import Share, cluster_share, import_ray, local_share
from submission.compute import Compute
from submission.errors import InputError


@pytest.fixture(autouse=True)
def nothing_said_of_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_auto_is_a_worker_for_each_gpu_or_part_of_one():
    assert local_share(Compute(workers="auto"), 8, 64) == Share(8, 1.0, 1, 4)
    assert local_share(Compute(workers="auto", gpus_per_worker=0.5), 2, 64).workers == 4
    assert local_share(Compute(workers=3), 8, 64).workers == 3


def test_more_workers_than_gpus_carry_are_refused():
    with pytest.raises(InputError, match="workers = 4, but 2 GPUs carry 2"):
        local_share(Compute(workers=4), 2, 64)
    assert local_share(Compute(workers=4, gpus_per_worker=0.5), 2, 64).workers == 4


def test_without_gpus_the_cores_are_divided(monkeypatch):
    assert local_share(Compute(workers=2), 0, 16) == Share(2, 0, 1, 8)
    assert local_share(Compute(workers=3), 0, 2) == Share(3, 0, 1, 1)
    assert local_share(Compute(workers="auto"), 0, 16).workers == 4
    assert local_share(Compute(workers="auto"), 0, 2).workers == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert local_share(Compute(workers=2), 0, 16).threads == 3


def test_a_cluster_is_taken_as_it_grows():
    share = cluster_share(Compute(workers="auto"), {"GPU": 3, "CPU": 40})
    assert share == Share(None, 1.0, 1, 4)
    assert [share.fitting({"GPU": count}) for count in (0, 3, 5)] == [0, 3, 5]
    assert cluster_share(Compute(workers=6), {"GPU": 3}).workers == 6  # more may join
    halves = cluster_share(Compute(workers="auto", gpus_per_worker=0.3), {"GPU": 3})
    assert halves.fitting({"GPU": 3}) == 10


def test_a_cluster_without_gpus_works_on_cores_unless_gpus_are_asked_for():
    on_cores = cluster_share(Compute(workers="auto"), {"CPU": 40})
    assert on_cores == Share(None, 0, 4, 4)
    assert on_cores.fitting({"CPU": 40}) == 10
    assert cluster_share(Compute(workers=5), {"CPU": 40}) == Share(5, 0, 8, 8)
    assert cluster_share(Compute(workers=5, device="cuda"), {"CPU": 40}).gpus == 1
    assert cluster_share(Compute(workers=5, device="cpu"), {"CPU": 40, "GPU": 8}).gpus == 0


def test_without_ray_the_command_that_installs_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'mevis-submission\[ray\]'"):
        import_ray()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workers", "some"], "'some' is neither a number nor auto"),
        (["--workers", "0", "--ray", "auto"], "--workers 0 is this process alone"),
    ],
)
def test_words_that_make_no_sense_are_refused(words, said, capsys, tmp_path):
    try:
        status = main(["predict", "--run", str(tmp_path / "run"), *words])
    except SystemExit as end:
        status = end.code
    assert status == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_host_makes_its_worker_once_and_tells_why_it_cannot(monkeypatch):
    class Maker:
        made = 0

        @staticmethod
        def make_worker(words):
            if not words:
                raise InputError("no data here")
            Maker.made += 1
            return Maker

        @staticmethod
        def facts():
            return {"host": "a"}

    monkeypatch.setitem(sys.modules, "maker", Maker)
    host = Host("maker", {"a": 1})
    assert [host.begin(), host.begin()] == [("joined", {"host": "a"})] * 2
    assert Maker.made == 1
    assert Host("maker", {}).begin() == ("unfit", "no data here")
