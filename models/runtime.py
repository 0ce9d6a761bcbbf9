"""Run the network's ONNX file with OpenVINO: bfloat16 or integers where the processor has them.

Windows of like length go through the network together, filled up to a multiple of
`LENGTH_STEP` tokens: the kernels are made anew for each shape that has not been met.
"""

import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import openvino

# Outputs of the network.
LOGITS, TOKEN_SHARES = "logits", "token_shares"
LENGTH_STEP = 16
# Tokens that go through the network at a time, filled-up ones included; a longer window goes alone.
TOKENS_AT_ONCE = 1024

Window = tuple[int, ...]


class Output(NamedTuple):
    """What the network says of one window."""

    logits: np.ndarray
    """float32 (topics,)."""
    token_shares: np.ndarray
    """float32 (tokens, topics), 0 to 1; those of a topic sum to 1."""


class Runtime:
    """A loaded network. Safe to use from several threads."""

    def __init__(self, path: Path, max_length: int, threads: int) -> None:
        """Load the ONNX file at `path`.

        Args:
            path: see `models.export` for inputs and outputs.
            max_length: tokens of a window at most; the network knows no more positions.
            threads: batches that run side by side, each on one processor.

        Raises:
            RuntimeError: it cannot be loaded.
        """
        core = openvino.Core()
        settings = {"NUM_STREAMS": threads, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "THROUGHPUT"}
        model = core.compile_model(core.read_model(path), "CPU", settings)
        self.missing: set[str] = {LOGITS, TOKEN_SHARES} - {name for output in model.outputs for name in output.names}
        """Outputs that a tagger needs and this network does not have."""
        self._max_length = max_length
        self._requests: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()
        for _ in range(threads):
            self._requests.put(model.create_infer_request())
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="network") if threads > 1 else None

    def run(self, windows: Sequence[Window]) -> list[Output]:
        """Return what the network says of each window, in order."""
        batches = list(self._batches(windows))
        each: Callable[..., Iterator[list[Output]]] = self._pool.map if self._pool and len(batches) > 1 else map
        found: list[Output | None] = [None] * len(windows)
        for places, outputs in zip(batches, each(self._run, ([windows[p] for p in b] for b in batches)), strict=True):
            for place, output in zip(places, outputs, strict=True):
                found[place] = output
        return [output for output in found if output is not None]

    def _run(self, windows: list[Window]) -> list[Output]:
        width = self._width(windows[-1])
        ids = np.zeros((len(windows), width), np.int64)
        mask = np.zeros_like(ids)
        for row, window in enumerate(windows):
            ids[row, : len(window)] = window
            mask[row, : len(window)] = 1
        request = self._requests.get()
        try:
            found = request.infer({"input_ids": ids, "attention_mask": mask})
            # The request's memory is written over by the next one.
            logits, shares = found[LOGITS].copy(), found[TOKEN_SHARES].copy()
        finally:
            self._requests.put(request)
        return [Output(logits[row], shares[row, : len(window)]) for row, window in enumerate(windows)]

    def _width(self, window: Window) -> int:
        return min(-(-len(window) // LENGTH_STEP) * LENGTH_STEP, self._max_length)

    def _batches(self, windows: Sequence[Window]) -> Iterator[list[int]]:
        """Yield the places of windows of one filled-up length."""
        batch: list[int] = []
        for place in sorted(range(len(windows)), key=lambda place: len(windows[place])):
            width = self._width(windows[place])
            if batch and (width != self._width(windows[batch[0]]) or (len(batch) + 1) * width > TOKENS_AT_ONCE):
                yield batch
                batch = []
            batch.append(place)
        if batch:
            yield batch
