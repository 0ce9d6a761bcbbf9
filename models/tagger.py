"""Tag paragraphs with an artifact: tokenizers, ONNX Runtime and numpy, no torch.

Every window of text goes through the network alone, so a paragraph's answer never
depends on what else is in the batch; several windows run side by side on threads.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from models.artifact import MODEL_FILE, TOKENIZER_FILE, Artifact, read_artifact
from models.decisions import decide

# Neighbouring windows of a long paragraph share this many tokens, so that no clause is
# seen only in halves.
WINDOW_OVERLAP = 64
# A paragraph of more windows (30,000 characters and more) is no paragraph; the rest of it
# is not read, and `truncated` says so.
MAX_WINDOWS = 64

Answer = Literal["topics", "none", "unsure"]


@dataclass(frozen=True)
class Encoded:
    """A paragraph as token ids, cut into windows that include the special tokens."""

    windows: tuple[tuple[int, ...], ...]
    truncated: bool

    @property
    def n_tokens(self) -> int:
        """Tokens that the network will read."""
        return sum(len(window) for window in self.windows)


@dataclass(frozen=True)
class Tags:
    """The answer for one paragraph."""

    answer: Answer
    """"topics"; "none" if surely no topic applies; "unsure" if a topic lies in its uncertain band."""
    topics: tuple[str, ...]
    """Topics at or above their thresholds; the best guess where the answer is "unsure"."""
    scores: dict[str, float]
    """Calibrated probability, 0 to 1, of every topic."""
    truncated: bool


class Tagger:
    """A loaded artifact. Safe to use from several threads."""

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        """Load the artifact in `folder`.

        Args:
            folder: an artifact folder.
            threads: windows that run side by side; as many as there are processors if None.

        Raises:
            FileNotFoundError, ValueError: see `models.artifact.read_artifact`.
        """
        self.artifact: Artifact = read_artifact(folder)
        self.threads = threads or len(os.sched_getaffinity(0))
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
            self._session = _open_session(folder / MODEL_FILE)
        except Exception as error:
            raise ValueError(f"{folder}: the model cannot be loaded ({error}); train again") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="tagger")
        special = self._tokenizer.encode("").ids
        if len(special) != 2:
            raise ValueError(f"{folder / TOKENIZER_FILE}: expected one special token at each end, found {len(special)}")
        self._first, self._last = special
        try:
            width = self._logits_of((self._first, self._last)).shape[-1]
        except Exception as error:
            raise ValueError(f"{folder / MODEL_FILE}: no network of a tagger ({error}); train again") from error
        if width != len(self.artifact.topics):
            raise ValueError(
                f"{folder}: tagger.json lists {len(self.artifact.topics)} topics, {MODEL_FILE} returns {width}"
            )

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Tokenize paragraphs and cut those that are longer than one window.

        Raises:
            ValueError: a text is no valid Unicode (it holds a lone surrogate).
        """
        try:
            found = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        except (UnicodeError, TypeError) as error:
            raise ValueError(f"a paragraph is not valid Unicode text: {error}") from None
        return [self._windows(encoding.ids) for encoding in found]

    def _windows(self, ids: list[int]) -> Encoded:
        room = self.artifact.max_length - 2
        step = max(room - min(WINDOW_OVERLAP, room // 2), 1)
        starts = range(0, max(len(ids) - room + step, 1), step)
        windows = tuple((self._first, *ids[start : start + room], self._last) for start in starts[:MAX_WINDOWS])
        return Encoded(windows, truncated=len(starts) > MAX_WINDOWS)

    def logits(self, encoded: Sequence[Encoded]) -> np.ndarray:
        """Return raw logits, float32 (paragraphs, topics).

        Over the windows of a long paragraph the largest counts: a paragraph is about a
        topic if one part of it is.
        """
        jobs = [window for paragraph in encoded for window in paragraph.windows]
        if self.threads == 1 or len(jobs) < 2:
            results = [self._logits_of(window) for window in jobs]
        else:
            results = list(self._pool.map(self._logits_of, jobs))
        rows = np.empty((len(encoded), len(self.artifact.topics)), np.float32)
        place = 0
        for row, paragraph in enumerate(encoded):
            rows[row] = np.max(results[place : place + len(paragraph.windows)], axis=0)
            place += len(paragraph.windows)
        return rows

    def _logits_of(self, window: tuple[int, ...]) -> np.ndarray:
        ids = np.array([window], dtype=np.int64)
        (logits,) = self._session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        row: np.ndarray = logits[0]
        return row

    def decide(self, encoded: Sequence[Encoded]) -> list[Tags]:
        """Tag paragraphs that `encode` has prepared."""
        if not encoded:
            return []
        decided = decide(self.artifact.topics, self.logits(encoded))
        ids = [topic.id for topic in self.artifact.topics]
        tags = []
        for row, paragraph in enumerate(encoded):
            topics = tuple(topic for topic, yes in zip(ids, decided.given[row], strict=True) if yes)
            answer: Answer = "unsure" if decided.uncertain[row].any() else "topics" if topics else "none"
            scores = dict(zip(ids, decided.probabilities[row].tolist(), strict=True))
            tags.append(Tags(answer, topics, scores, paragraph.truncated))
        return tags

    def tag(self, texts: Sequence[str]) -> list[Tags]:
        """Tag paragraphs; one answer for each text, in order.

        Raises:
            ValueError: a text is no valid Unicode.
        """
        return self.decide(self.encode(texts))


def _open_session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Integer weights become float when the session loads, not at each run; without this
    # the runtime also rounds activations, which training never saw.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
