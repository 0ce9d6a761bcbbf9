"""Run the network on a GPU with torch in bfloat16 (needs torch and onnx).

A GPU is as fast with hundreds of windows as with one. So what comes within a few milliseconds,
whoever asked for it, goes through the network together, in batches of like length.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from models.read_back import read_network
from models.runtime import LOGITS, TOKEN_SHARES, Output, Waiting, Window, infer_batch

WAIT_SECONDS = 0.003
"""How long the first window waits for others."""
TOKENS_AT_ONCE = 32768
"""Tokens that go through the network at a time, filled-up ones included."""


class GpuRuntime:
    """A loaded network. Safe to use from several threads."""

    missing: frozenset[str] = frozenset()
    """As `models.runtime.Runtime` has it: a network that can be read back returns all that a tagger needs."""

    def __init__(self, path: Path, device: str = "cuda") -> None:
        """Load the ONNX file at `path` onto a device, as torch names it.

        Raises:
            ValueError: it cannot be read back.
            RuntimeError: the device cannot be used.
        """
        self._network = read_network(path).to(device)
        self._device = torch.device(device)
        # One at a time: the next windows gather while these are computed.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="network")
        self._lock = threading.Lock()
        self._waiting: list[Waiting] = []

    def run(self, windows: Sequence[Window]) -> list[Output]:
        """Return what the network says of each window, in order."""
        found = [Waiting(window, len(window), Future()) for window in windows]
        with self._lock:
            self._waiting += found
        self._pool.submit(self._turn)
        return [one.output.result() for one in found]

    def _turn(self) -> None:
        """Send all that waits through the network, and what comes a moment later."""
        if not self._waiting:
            return
        time.sleep(WAIT_SECONDS)
        with self._lock:
            taken, self._waiting = self._waiting, []
        for batch in batches(taken):
            infer_batch(batch, self._infer)

    @torch.inference_mode()
    def _infer(self, ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            output = self._network(*(torch.from_numpy(array).to(self._device) for array in (ids, mask)))
        return output[LOGITS].float().cpu().numpy(), output[TOKEN_SHARES].float().cpu().numpy()


def batches(waiting: Sequence[Waiting]) -> Iterator[list[Waiting]]:
    """Yield the windows in batches of like length, each of at least one and at most `TOKENS_AT_ONCE` tokens."""
    batch: list[Waiting] = []
    for one in sorted(waiting, key=lambda one: one.width):
        if batch and one.width * (len(batch) + 1) > TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch
