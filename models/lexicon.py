"""The lexicon: what single words and phrases say of a topic, added to what the network reads (numpy only).

A linear model on sequences of one to three characters. It knows the words of the
annotations by heart and nothing else, the network is the other way round; their errors
are different ones, so their logits are added.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

LONGEST = 3
# A character as a number of so many bits; three of them fill a positive int64.
BITS = 21
_TENSORS = {"grams", "idf", "weights", "bias"}


def cut_grams(text: str) -> list[str]:
    """Return the sequences of one to three characters of a text, white space and letter case aside."""
    cleaned = _clean(text)
    return [
        cleaned[start : start + length]
        for length in range(1, LONGEST + 1)
        for start in range(len(cleaned) - length + 1)
    ]


def _clean(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).lower().split())


def _keys(text: str, length: int) -> np.ndarray:
    """Return each sequence of so many characters in the text as one number, int64 (sequences,)."""
    # From 1, so that a sequence that begins with a null is not taken for a shorter one.
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64) + 1
    n = max(len(codes) - length + 1, 0)
    keys = np.zeros(n, np.int64)
    for place in range(length):
        keys = keys << BITS | codes[place : place + n]
    return keys


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Weights of the known sequences."""

    grams: tuple[str, ...]
    idf: np.ndarray
    """Inverse document frequency of each sequence, float32 (grams,)."""
    weights: np.ndarray
    """float32 (grams, topics)."""
    bias: np.ndarray
    """float32 (topics,)."""
    _sorted: np.ndarray = field(init=False, repr=False)
    """The sequences as rising numbers, int64 (grams,): a text's are found all at once."""
    _order: np.ndarray = field(init=False, repr=False)
    """Where each of them stands in `grams`."""

    def __post_init__(self) -> None:
        keys = np.zeros(len(self.grams), np.int64)
        lengths = np.array([len(gram) for gram in self.grams], int)
        for length in range(1, LONGEST + 1):
            places = np.flatnonzero(lengths == length)
            keys[places] = _keys("".join(self.grams[place] for place in places), length)[::length]
        order = np.argsort(keys)
        object.__setattr__(self, "_sorted", keys[order])
        object.__setattr__(self, "_order", order)

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return logits, float32 (texts, topics); of a text without any known sequence, the bias."""
        return np.array([self._logits_of(text) for text in texts], np.float32).reshape(-1, len(self.bias))

    def _logits_of(self, text: str) -> np.ndarray:
        cleaned = _clean(text)
        keys = np.concatenate([_keys(cleaned, length) for length in range(1, LONGEST + 1)])
        found, counts = np.unique(keys, return_counts=True)
        at = np.searchsorted(self._sorted, found)
        known = np.take(self._sorted, at, mode="clip") == found if len(self.grams) else np.zeros(len(found), bool)
        if not known.any():
            return self.bias
        places = self._order[at[known]]
        values = (1 + np.log(counts[known])).astype(np.float32) * self.idf[places]
        logits: np.ndarray = values / np.linalg.norm(values) @ self.weights[places] + self.bias
        return logits

    def save(self, path: Path) -> None:
        """Write a safetensors file; weights are rounded to 16 bits."""
        blob = np.frombuffer("\n".join(self.grams).encode(), np.uint8)
        tensors = {"grams": blob, "idf": self.idf, "weights": self.weights.astype(np.float16), "bias": self.bias}
        save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, path)
        # The library makes files that only their owner can read.
        path.chmod(0o644)

    @classmethod
    def load(cls, path: Path) -> "Lexicon":
        """Read what `save` wrote.

        Raises:
            ValueError: the file is damaged.
        """
        try:
            tensors = load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{path}: damaged ({error})") from error
        if set(tensors) != _TENSORS:
            raise ValueError(f"{path}: no lexicon")
        text = tensors["grams"].tobytes().decode()
        grams = tuple(text.split("\n")) if text else ()
        weights = tensors["weights"].astype(np.float32)
        if not len(grams) == len(tensors["idf"]) == len(weights) or weights.shape[1:] != tensors["bias"].shape:
            raise ValueError(f"{path}: its parts do not fit together")
        return cls(grams, tensors["idf"], weights, tensors["bias"])
