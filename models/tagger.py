"""Tag paragraphs with an artifact: tokenizers, OpenVINO and numpy; torch on a GPU only."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Encoding, Tokenizer

from models import store
from models.artifact import LEXICON_FILE, MODEL_FILE, TOKENIZER_FILE, Artifact, read_artifact
from models.decisions import Answer, decide
from models.device import Device, choose_device
from models.evidence import NOWHERE, Span, choose_clauses, clause_of_tokens, cut_clauses, spans_of
from models.lexicon import Lexicon
from models.memory import give_back_files, give_back_free
from models.runtime import Output, Runtime

if TYPE_CHECKING:
    from models.gpu_runtime import GpuRuntime

# Neighbouring windows of a long paragraph share this many tokens, so that no clause is
# seen only in halves.
WINDOW_OVERLAP = 64
# A paragraph of more windows (30,000 characters and more) is no paragraph; the rest of it
# is not read, and `truncated` says so.
MAX_WINDOWS = 64


# Compared by identity: arrays have no one answer to whether they are equal.
@dataclass(frozen=True, eq=False)
class Encoded:
    """A paragraph as token ids, cut into windows that include the special tokens."""

    text: str
    windows: tuple[tuple[int, ...], ...]
    offsets: tuple[np.ndarray, ...]
    """For each window, start and end of its tokens in `text`, int32 (tokens, 2); (0, 0) for a special token."""
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
    evidence: dict[str, tuple[Span, ...]]
    """For each topic of `topics`, the clauses that decided: sorted spans [start, end) of the paragraph's
    characters; none only if nothing visible was read."""
    truncated: bool


class Tagger:
    """A loaded artifact. Safe to use from several threads."""

    def __init__(self, folder: Path, threads: int | None = None, device: Device | None = None) -> None:
        """Load the artifact in `folder`.

        Args:
            folder: an artifact folder.
            threads: windows that run side by side; as many as there are processors if None.
            device: what the network runs on; see `models.device` if None.

        Raises:
            FileNotFoundError, ValueError: see `models.artifact.read_artifact` and `models.device.choose_device`.
        """
        self.device: Device = device or choose_device(os.environ)
        self.artifact: Artifact = read_artifact(folder)
        self._ids = [topic.id for topic in self.artifact.topics]
        self.threads = threads or len(os.sched_getaffinity(0))
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
            self._runtime = self._load_network(folder / MODEL_FILE)
            self._lexicon = Lexicon.load(folder / LEXICON_FILE)
        except Exception as error:
            raise ValueError(f"{folder}: the model cannot be loaded ({error}); train again") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        special = self._tokenizer.encode("").ids
        if len(special) != 2:
            raise ValueError(f"{folder / TOKENIZER_FILE}: expected one special token at each end, found {len(special)}")
        self._first, self._last = special
        if self._runtime.missing:
            missing = min(self._runtime.missing)
            raise ValueError(
                f"{folder / MODEL_FILE}: no network of a tagger (it does not return {missing}); train again"
            )
        try:
            # The first window of the process, alone as `Runtime` asks for.
            width = len(self._runtime.run([(self._first, self._last)])[0].logits)
        except Exception as error:
            raise ValueError(f"{folder / MODEL_FILE}: no network of a tagger ({error}); train again") from error
        # With that window the kernels have copied the weights from the file, in an order of their own.
        give_back_free()
        if store.COMPILED is not None:
            give_back_files(store.COMPILED)
        for name, found in ((MODEL_FILE, width), (LEXICON_FILE, len(self._lexicon.bias))):
            if found != len(self.artifact.topics):
                raise ValueError(
                    f"{folder}: tagger.json lists {len(self.artifact.topics)} topics, {name} returns {found}"
                )

    def _load_network(self, path: Path) -> "Runtime | GpuRuntime":
        if self.device == "cpu":
            return Runtime(path, self.artifact.max_length, self.threads)
        # Needs torch, which serving on a processor does not have.
        from models.gpu_runtime import GpuRuntime

        return GpuRuntime(path)

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Tokenize paragraphs and cut those that are longer than one window.

        Raises:
            ValueError: a text is no valid Unicode (it holds a lone surrogate).
        """
        try:
            found = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        except (UnicodeError, TypeError) as error:
            raise ValueError(f"a paragraph is not valid Unicode text: {error}") from None
        return [self._windows(text, encoding) for text, encoding in zip(texts, found, strict=True)]

    def _windows(self, text: str, encoding: Encoding) -> Encoded:
        ids: list[int] = encoding.ids
        offsets = np.array(encoding.offsets, np.int32).reshape(-1, 2)
        room = self.artifact.max_length - 2
        step = max(room - min(WINDOW_OVERLAP, room // 2), 1)
        starts = range(0, max(len(ids) - room + step, 1), step)
        read = starts[:MAX_WINDOWS]
        return Encoded(
            text,
            windows=tuple((self._first, *ids[start : start + room], self._last) for start in read),
            offsets=tuple(np.pad(offsets[start : start + room], ((1, 1), (0, 0))) for start in read),
            truncated=len(starts) > MAX_WINDOWS,
        )

    def logits(self, encoded: Sequence[Encoded]) -> np.ndarray:
        """Return raw logits, float32 (paragraphs, topics): the network's plus the lexicon's.

        Over the windows of a long paragraph the network's largest counts: a paragraph is
        about a topic if one part of it is.
        """
        rows = np.empty((len(encoded), len(self.artifact.topics)), np.float32)
        for row, outputs in enumerate(self._outputs(encoded)):
            rows[row] = self._add_lexicon(encoded[row], outputs)
        return rows

    def _add_lexicon(self, paragraph: Encoded, outputs: list[Output]) -> np.ndarray:
        found: np.ndarray = _largest_logits(outputs) + self._lexicon.logits([paragraph.text])[0]
        return found

    def _outputs(self, encoded: Sequence[Encoded]) -> Iterator[list[Output]]:
        """Yield what the network says of each paragraph's windows, in order."""
        outputs = iter(self._runtime.run([window for paragraph in encoded for window in paragraph.windows]))
        for paragraph in encoded:
            yield list(islice(outputs, len(paragraph.windows)))

    def decide(self, encoded: Sequence[Encoded]) -> list[Tags]:
        """Tag paragraphs that `encode` has prepared."""
        return self._decide(encoded, list(self._outputs(encoded)))

    def _decide(self, encoded: Sequence[Encoded], outputs: Sequence[list[Output]]) -> list[Tags]:
        rows = np.array(list(map(self._add_lexicon, encoded, outputs)), np.float32).reshape(-1, len(self._ids))
        decided = decide(self.artifact.topics, rows, self.artifact.exclusive)
        answers = decided.answers()
        return [
            self._tags(paragraph, outputs[row], answers[row], decided.probabilities[row], decided.given[row])
            for row, paragraph in enumerate(encoded)
        ]

    def _tags(
        self, paragraph: Encoded, outputs: list[Output], answer: Answer, probabilities: np.ndarray, given: np.ndarray
    ) -> Tags:
        columns = np.flatnonzero(given).tolist()
        topics = tuple(self._ids[column] for column in columns)
        return Tags(
            answer=answer,
            topics=topics,
            scores=dict(zip(self._ids, probabilities.tolist(), strict=True)),
            evidence=dict(zip(topics, _find_evidence(paragraph, outputs, columns), strict=True)),
            truncated=paragraph.truncated,
        )

    def tag(self, texts: Sequence[str]) -> list[Tags]:
        """Tag paragraphs; one answer for each text, in order.

        Raises:
            ValueError: a text is no valid Unicode.
        """
        return self.decide(self.encode(texts))


def _largest_logits(outputs: list[Output]) -> np.ndarray:
    largest: np.ndarray = np.max([output.logits for output in outputs], axis=0)
    return largest


def _find_evidence(paragraph: Encoded, outputs: list[Output], topics: list[int]) -> list[tuple[Span, ...]]:
    """Return the evidence for each of these topics (columns of the outputs).

    The window with the topic's largest logit gives it: that window's logit is what was decided on.
    """
    if not topics:
        return []
    clauses = cut_clauses(paragraph.text)
    clause_of_token = [clause_of_tokens(paragraph.text, clauses, offsets) for offsets in paragraph.offsets]
    # A window of nothing but invisible characters has nothing to show.
    readable = [window for window, places in enumerate(clause_of_token) if (places != NOWHERE).any()]
    found: list[tuple[Span, ...]] = []
    for topic in topics:
        best = max(readable, key=lambda window: outputs[window].logits[topic], default=None)
        if best is None:
            found.append(())
            continue
        chosen = choose_clauses(clause_of_token[best], outputs[best].token_shares[:, topic])
        found.append(spans_of(paragraph.text, clauses, chosen))
    return found
