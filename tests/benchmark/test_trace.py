"""Kernels of a trace count for the innermost stage that launched them."""

from scripts.benchmark.trace import ELSEWHERE, by_stage, driver_calls, largest


def launch(correlation: int, at: float, thread: int = 1) -> dict:
    return {
        "cat": "cuda_runtime", "tid": thread, "ts": at, "args": {"correlation": correlation},
    }  # fmt: skip


def kernel(correlation: int, microseconds: float, name: str = "void k(int)") -> dict:
    return {
        "cat": "kernel", "name": name, "dur": microseconds, "ts": 10_000,
        "args": {"correlation": correlation},
    }  # fmt: skip


def stage(name: str, begin: float, end: float, thread: int = 1) -> dict:
    return {
        "cat": "user_annotation", "tid": thread, "ts": begin, "dur": end - begin, "name": name,
    }  # fmt: skip


def test_a_kernel_counts_for_the_innermost_stage_around_its_launch():
    events = [
        stage("outer", 0, 100), stage("inner", 10, 20), stage("after", 200, 210),
        stage("another thread's", 0, 1000, thread=2),
        launch(1, 5), launch(2, 15), launch(3, 30), launch(4, 150), launch(5, 205),
        kernel(1, 7), kernel(2, 3), kernel(3, 5), kernel(4, 11), kernel(5, 2), kernel(99, 50),
    ]  # fmt: skip
    stages = by_stage(events)
    assert {name: (one.kernels, round(1e6 * one.seconds)) for name, one in stages.items()} == {
        "another thread's": (0, 0), "outer": (2, 12), "inner": (1, 3), "after": (1, 2),
        ELSEWHERE: (1, 11),
    }  # fmt: skip


def test_the_host_s_seconds_leave_out_what_lies_within():
    events = [stage("outer", 0, 100), stage("inner", 10, 20), stage("inner", 30, 50)]
    hosts = {name: round(1e6 * one.host) for name, one in by_stage(events).items()}
    assert hosts == {"outer": 70, "inner": 30}


def test_the_largest_kernels_come_first():
    events = [launch(1, 5), launch(2, 6), kernel(1, 1000, "small"), kernel(2, 3000, "large")]
    assert largest(by_stage(events)[ELSEWHERE]) == "large 3.0; small 1.0"


def test_what_the_driver_was_asked_is_added_up():
    names = ("cudaMalloc", "cudaLaunchKernel", "cudaMalloc")
    events = [{"cat": "cuda_runtime", "name": name, "dur": 1e6} for name in names]
    assert driver_calls([*events, kernel(1, 5)]) == (
        "cudaMalloc 2.000 (2); cudaLaunchKernel 1.000 (1)"
    )


def test_a_trace_without_events_has_no_stages():
    assert by_stage([]) == {}
