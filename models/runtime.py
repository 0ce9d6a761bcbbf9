"""Run the network's ONNX file with OpenVINO: bfloat16 or integers where the processor has them.

Windows of like length go through the network together, whoever asked for them, each filled
up to one of a few widths, a power of two at a time: for each shape that has not been met,
kernels are made, which take time and up to 2 MB. What goes with a window changes nothing in
its outputs, but for a rounding once in a while where a kernel for more rows adds in another order.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from openvino import InferRequest

# Outputs of the network.
LOGITS, TOKEN_SHARES = "logits", "token_shares"
# A window is filled up to the next multiple of this many tokens; beyond `FINE_LENGTH`, twice as many, and so on.
LENGTH_STEP, FINE_LENGTH = 16, 128
# Tokens that go through the network at a time, filled-up ones included; a longer window goes alone.
TOKENS_AT_ONCE = 512

Window = tuple[int, ...]
# Token ids and mask, int64 (batch, tokens), to logits (batch, topics) and shares (batch, tokens, topics), float32.
Infer = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


class Output(NamedTuple):
    """What the network says of one window."""

    logits: np.ndarray
    """float32 (topics,)."""
    token_shares: np.ndarray
    """float32 (tokens, topics), 0 to 1; those of a topic sum to 1."""


class Waiting(NamedTuple):
    """A window on its way to the network."""

    window: Window
    width: int
    """Tokens, filled up."""
    output: Future[Output]


class Runtime:
    """A loaded network. Safe to use from several threads, but for the first window of the process: it goes alone.

    Where two threads are the first, OpenVINO's bindings may wait for each other forever.
    """

    def __init__(self, path: Path, max_length: int, threads: int) -> None:
        """Load the ONNX file at `path`.

        Args:
            path: see `models.export` for inputs and outputs.
            max_length: tokens of a window at most; the network knows no more positions.
            threads: batches that run side by side, each on one processor.

        Raises:
            RuntimeError: it cannot be loaded.
        """
        # Not before: the process that watches the one that serves needs no OpenVINO.
        from models.compiled import load_compiled

        settings = {
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "THROUGHPUT",
            # Each process would take the first processors, so that several of them share one and leave others idle.
            "ENABLE_CPU_PINNING": False,
        }
        model = load_compiled(path, settings)
        self.missing: set[str] = {LOGITS, TOKEN_SHARES} - {name for output in model.outputs for name in output.names}
        """Outputs that a tagger needs and this network does not have."""
        self._max_length = max_length
        self._requests: queue.SimpleQueue[InferRequest] = queue.SimpleQueue()
        for _ in range(threads):
            self._requests.put(model.create_infer_request())
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="network")
        self._lock = threading.Lock()
        self._waiting: list[Waiting] = []
        """Windows of all callers, those that came first in front."""

    def run(self, windows: Sequence[Window]) -> list[Output]:
        """Return what the network says of each window, in order."""
        found = [Waiting(window, self._width(window), Future()) for window in windows]
        with self._lock:
            self._waiting += sorted(found, key=lambda one: one.width)
        # As many turns as there could be batches; one that finds nothing left is over at once.
        for _ in found:
            self._pool.submit(self._turn)
        return [one.output.result() for one in found]

    def _turn(self) -> None:
        """Send one batch of what waits through the network."""
        with self._lock:
            batch = choose_batch([one.width for one in self._waiting], self._threads)
            chosen = [self._waiting[place] for place in batch]
            for place in reversed(batch):
                del self._waiting[place]
        if chosen:
            infer_batch(chosen, self._infer)

    def _infer(self, ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        request = self._requests.get()
        try:
            found = request.infer({"input_ids": ids, "attention_mask": mask})
            # The request's memory is written over by the next one.
            return found[LOGITS].copy(), found[TOKEN_SHARES].copy()
        finally:
            self._requests.put(request)

    def _width(self, window: Window) -> int:
        return min(filled_up(len(window)), self._max_length)


def filled_up(length: int) -> int:
    """Return how many tokens a window of so many is filled up to."""
    step = LENGTH_STEP
    while length > step * (FINE_LENGTH // LENGTH_STEP):
        step *= 2
    return -(-length // step) * step


def infer_batch(batch: Sequence[Waiting], infer: Infer) -> None:
    """Send windows through the network together, and give each its output, or the error."""
    try:
        ids = np.zeros((len(batch), max(one.width for one in batch)), np.int64)
        mask = np.zeros_like(ids)
        for row, one in enumerate(batch):
            ids[row, : len(one.window)] = one.window
            mask[row, : len(one.window)] = 1
        logits, shares = infer(ids, mask)
    except Exception as error:
        for one in batch:
            one.output.set_exception(error)
        return
    for row, one in enumerate(batch):
        one.output.set_result(Output(logits[row], shares[row, : len(one.window)]))


def choose_batch(widths: Sequence[int], threads: int) -> list[int]:
    """Return the places of the windows that should go next: the one that has waited longest and some of its width.

    They are a power of two.

    Args:
        widths: tokens of the windows that wait, filled up, those that came first in front.
        threads: batches that run side by side; none takes more than its share of what waits.
    """
    if not widths:
        return []
    tokens = min(TOKENS_AT_ONCE, sum(widths) // threads)
    alike = [place for place, width in enumerate(widths) if width == widths[0]]
    n_rows = min(max(tokens // widths[0], 1), len(alike))
    return alike[: 1 << n_rows.bit_length() - 1]
