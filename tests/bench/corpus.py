"""The paragraphs that every row of the benchmark reads, and how much work they are."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent.parent / "data"
TEST_FILE = DATA / "test_written.jsonl"
FILES = (TEST_FILE, DATA / "annotations.jsonl")
SEED = 13
ROUND = 16
"""Any so many paragraphs in a row, from a multiple of it on, are of all lengths."""


def load_texts(files: Sequence[Path] = FILES) -> list[str]:
    """Return the paragraphs of annotation files, shuffled.

    A slow engine gets through fewer of them than a fast one. So that both read text of the same
    lengths, the paragraphs are shuffled within `ROUND` classes of length, and dealt out one of each.
    """
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    texts = sorted({str(json.loads(line)["text"]) for line in lines}, key=lambda text: (len(text), text))
    chance = random.Random(SEED)
    size = len(texts) // ROUND
    classes = [texts[place * size : (place + 1) * size] for place in range(ROUND)]
    for one in classes:
        chance.shuffle(one)
    rounds = [list(dealt) for dealt in zip(*classes, strict=True)]
    for one in rounds:
        chance.shuffle(one)
    return [text for one in rounds for text in one]


@dataclass(frozen=True)
class Work:
    """What the network does for the paragraphs, in the order in which they are read."""

    tokens: tuple[int, ...]
    """Tokens of each paragraph, those of all its windows together."""
    operations: tuple[int, ...]
    """Multiplications and additions in the network's matrix products for each paragraph."""

    def mean_tokens(self, n: int) -> float:
        """Return the tokens of a paragraph, mean over the first `n`; from the end it goes on at the first."""
        return _mean(self.tokens, n)

    def mean_operations(self, n: int) -> float:
        """Return the operations for a paragraph, mean over the first `n`."""
        return _mean(self.operations, n)


def _mean(values: Sequence[int], n: int) -> float:
    rounds, rest = divmod(n, len(values))
    return (rounds * sum(values) + sum(values[:rest])) / n if n else 0.0
