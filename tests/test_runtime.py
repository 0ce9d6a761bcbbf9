import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import TINY_MAX_LENGTH
from hypothesis import given
from hypothesis import strategies as some

from models.artifact import MODEL_FILE
from models.runtime import TOKENS_AT_ONCE, Runtime, choose_batch, filled_up

WIDTHS = some.lists(some.integers(1, 512).map(filled_up), min_size=1, max_size=80)


@given(WIDTHS, some.integers(1, 8))
def test_a_batch_holds_the_first_and_its_like_and_no_more_than_its_share(widths: list[int], threads: int) -> None:
    batch = choose_batch(widths, threads)
    assert batch[0] == 0 and batch == sorted(set(batch))
    assert {widths[place] for place in batch} == {widths[0]}
    assert len(batch) * widths[0] <= max(min(TOKENS_AT_ONCE, sum(widths) / threads), widths[0])
    assert len(batch).bit_count() == 1


def test_few_shapes_go_through_the_network() -> None:
    widths = [filled_up(length) for length in range(1, 513)]
    assert all(length <= width < max(length + 16, 1.25 * length) for length, width in enumerate(widths, 1))
    assert sorted(set(widths)) == [*range(16, 129, 16), *range(160, 257, 32), *range(320, 513, 64)]


def test_like_lengths_go_together_and_leave_work_for_the_others() -> None:
    assert choose_batch([], 2) == []
    assert choose_batch([96, 320, 96, 112, 96], 1) == [0, 2]
    assert choose_batch([96] * 8, 2) == [0, 1, 2, 3]
    assert choose_batch([96] * 40, 1) == list(range(4))


def test_callers_at_the_same_time_get_what_each_gets_alone(tiny_artifact: Path) -> None:
    draw = random.Random(3)
    calls = [
        [tuple(draw.choices(range(5, 40), k=draw.randint(2, TINY_MAX_LENGTH))) for _ in range(draw.randint(1, 9))]
        for _ in range(60)
    ]
    alone = Runtime(tiny_artifact / MODEL_FILE, TINY_MAX_LENGTH, 1)
    shared = Runtime(tiny_artifact / MODEL_FILE, TINY_MAX_LENGTH, 2)
    alone.run(calls[0][:1])
    with ThreadPoolExecutor(12) as callers:
        found = list(callers.map(shared.run, calls))
    for call, outputs in zip(calls, found, strict=True):
        for window, output in zip(call, outputs, strict=True):
            (expected,) = alone.run([window])
            # A tiny network of large weights; another window's logits differ by whole numbers.
            assert output.logits == pytest.approx(expected.logits, abs=0.05)
            assert output.token_shares == pytest.approx(expected.token_shares, abs=0.02)
            assert len(output.token_shares) == len(window)


def test_who_asks_for_the_impossible_gets_the_error_and_the_next_are_served(tiny_artifact: Path) -> None:
    runtime = Runtime(tiny_artifact / MODEL_FILE, TINY_MAX_LENGTH, 1)
    with pytest.raises(ValueError):
        runtime.run([(5,) * (TINY_MAX_LENGTH + 1)])
    assert len(runtime.run([(5, 6, 7)])) == 1
