"""Maps over threads and processes: order, errors, early ends."""

from __future__ import annotations

import os
import threading
import time

import pytest

from rapidseg.core.errors import RapidSegError
from rapidseg.core.parallel import ordered_map, unordered_process_map


def square(value: int) -> int:
    return value * value


def fail_at_three(value: int) -> int:
    if value == 3:
        raise ValueError("three")
    return value


def kill_itself(value: int) -> int:
    os._exit(9)


def test_results_come_in_the_order_of_the_items():
    def slow_first(value: int) -> int:
        time.sleep(0.02 if value % 4 == 0 else 0)
        return value

    assert list(ordered_map(slow_first, range(20), threads=4)) == list(range(20))
    assert list(ordered_map(square, [], threads=4)) == []


def test_items_are_taken_a_few_ahead_and_in_the_callers_thread():
    taken: list[int] = []
    names: set[str] = set()

    def items():
        for value in range(100):
            taken.append(value)
            names.add(threading.current_thread().name)
            yield value

    results = ordered_map(square, items(), threads=3)
    assert next(results) == 0
    assert len(taken) == 5  # 3 threads, and 2 beyond
    assert names == {threading.current_thread().name}
    results.close()
    assert len(taken) == 5


def test_an_error_is_raised_where_its_result_is_due():
    results = ordered_map(fail_at_three, range(10), threads=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_closing_drops_what_has_not_started_and_need_not_wait():
    started: list[int] = []
    release = threading.Event()

    def wait(value: int) -> int:
        started.append(value)
        if value:
            release.wait(10)
        return value

    results = ordered_map(wait, range(50), threads=1, wait=False)
    assert next(results) == 0
    start = time.perf_counter()
    results.close()
    assert time.perf_counter() - start < 5
    release.set()
    assert len(started) <= 2


@pytest.mark.parametrize("processes", [1, 2])
def test_processes_give_every_result_once(processes):
    assert sorted(unordered_process_map(square, range(5), processes=processes)) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_in_a_process_is_raised_here(processes):
    with pytest.raises(ValueError, match="three"):
        list(unordered_process_map(fail_at_three, range(5), processes=processes))


def test_a_process_that_was_killed_is_explained():
    with pytest.raises(RapidSegError, match=r"a worker process was killed, probably because memory ran out; .* fewer"):
        list(unordered_process_map(kill_itself, range(3), processes=2))


def test_a_single_item_needs_no_process():
    assert list(unordered_process_map(lambda value: value + os.getpid(), [0], processes=8)) == [os.getpid()]
