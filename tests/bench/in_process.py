"""How many paragraphs a second an engine reads within one process."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.corpus import ROUND, load_texts

AT_ONCE = 4 * ROUND
"""Paragraphs given to the tagger at once: enough that two threads end at about the same time."""

Read = Callable[[Sequence[str]], object]


def _ours(model: Path, threads: int) -> tuple[Read, int]:
    from models.tagger import Tagger

    return Tagger(model, threads=threads).tag, AT_ONCE


def _onnx(model: Path, threads: int) -> tuple[Read, int]:
    from bench.reference import Reference

    return Reference(model, threads).decide, AT_ONCE


def _torch(model: Path, threads: int) -> tuple[Read, int]:
    import torch

    from bench.reference import Windows
    from models.artifact import read_artifact
    from models.base import load_base
    from models.network import TopicNetwork

    torch.set_num_threads(threads)
    artifact, windows = read_artifact(model), Windows(model)
    network = TopicNetwork(load_base(artifact.base)[0], len(artifact.topics)).eval()

    def read(texts: Sequence[str]) -> None:
        with torch.inference_mode():
            for window in (window for text in texts for window in windows.cut(text)):
                ids = torch.tensor([window])
                network(ids, torch.ones_like(ids))

    return read, 1


ENGINES = {"ours": _ours, "onnx": _onnx, "torch": _torch}


def measure(engine: str, model: str, seconds: float) -> dict[str, Any]:
    """Read paragraphs for so many seconds, with a thread for each core that this process has, once it is warm.

    Returns the paragraphs read, the seconds it took, and the largest memory held, in bytes.
    """
    texts = load_texts()
    read, at_once = ENGINES[engine](Path(model), len(os.sched_getaffinity(0)))
    # An engine may make its kernels anew for each length that it meets: a service has met them all.
    _read_for(seconds, read, texts, at_once)
    done, passed = _read_for(seconds, read, texts, at_once)
    return {"paragraphs": done, "seconds": passed, "peak_memory": peak_memory()}


def _read_for(seconds: float, read: Read, texts: Sequence[str], at_once: int) -> tuple[int, float]:
    """Read round and round from the first paragraph; return how many were read, and the seconds it took."""
    done, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds or done % ROUND:
        start = done % len(texts)
        few = texts[start : start + at_once]
        read(few)
        done += len(few)
    return done, passed


def peak_memory() -> int:
    """Return the largest memory that this process has held, in bytes."""
    return 1024 * int(Path("/proc/self/status").read_text(encoding="ascii").split("VmHWM:")[1].split()[0])
