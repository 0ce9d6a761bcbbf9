"""The engine for a GPU, on the processor: the same code, but for bfloat16."""

import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from conftest import TINY_MAX_LENGTH
from hypothesis import given
from hypothesis import strategies as some

from models import gpu_runtime
from models.artifact import MODEL_FILE
from models.gpu_runtime import GpuRuntime, batches
from models.read_back import read_network
from models.runtime import Waiting


@given(some.lists(some.integers(1, 512), max_size=60), some.integers(1, 2000))
def test_all_are_in_a_batch_and_none_is_too_large(lengths: list[int], most: int) -> None:
    waiting = [Waiting((place,) * length, length, Future()) for place, length in enumerate(lengths)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_runtime, "TOKENS_AT_ONCE", most)
        found = list(batches(waiting))
    assert sorted(one.window for batch in found for one in batch) == sorted(one.window for one in waiting)
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(len(one.window) for one in batch) <= most


@pytest.fixture(scope="module")
def runtime(tiny_artifact: Path) -> Iterator[GpuRuntime]:
    yield GpuRuntime(tiny_artifact / MODEL_FILE, "cpu")


def test_callers_at_the_same_time_get_what_the_network_says(runtime: GpuRuntime, tiny_artifact: Path) -> None:
    draw = random.Random(5)
    calls = [
        [tuple(draw.choices(range(5, 40), k=draw.randint(2, TINY_MAX_LENGTH))) for _ in range(draw.randint(1, 9))]
        for _ in range(30)
    ]
    network = read_network(tiny_artifact / MODEL_FILE)
    with ThreadPoolExecutor(12) as callers:
        found = list(callers.map(runtime.run, calls))
    for call, outputs in zip(calls, found, strict=True):
        for window, output in zip(call, outputs, strict=True):
            with torch.inference_mode():
                expected = network(torch.tensor([window]), torch.ones(1, len(window), dtype=torch.int64))
            assert output.logits == pytest.approx(expected["logits"][0].numpy(), abs=1e-3)
            assert output.token_shares == pytest.approx(expected["token_shares"][0].numpy(), abs=1e-3)


def test_who_asks_for_the_impossible_gets_the_error_and_the_next_are_served(runtime: GpuRuntime) -> None:
    with pytest.raises(IndexError):
        runtime.run([(10**6, 5)])
    assert len(runtime.run([(5, 6, 7)])) == 1


def test_nothing_to_do_is_done(runtime: GpuRuntime) -> None:
    assert runtime.run([]) == []
