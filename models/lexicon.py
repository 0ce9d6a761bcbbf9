"""The lexicon: what single words and phrases say of a topic, added to what the network reads (numpy only).

A linear model on sequences of one to three characters. It knows the words of the
annotations by heart and nothing else, the network is the other way round; their errors
are different ones, so their logits are added.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

LONGEST = 3
_TENSORS = {"grams", "idf", "weights", "bias"}


def cut_grams(text: str) -> list[str]:
    """Return the sequences of one to three characters of a text, white space and letter case aside."""
    cleaned = "".join(unicodedata.normalize("NFKC", text).lower().split())
    return [
        cleaned[start : start + length]
        for length in range(1, LONGEST + 1)
        for start in range(len(cleaned) - length + 1)
    ]


@dataclass(frozen=True)
class Lexicon:
    """Weights of the known sequences."""

    grams: tuple[str, ...]
    idf: np.ndarray
    """Inverse document frequency of each sequence, float32 (grams,)."""
    weights: np.ndarray
    """float32 (grams, topics)."""
    bias: np.ndarray
    """float32 (topics,)."""
    _places: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", {gram: place for place, gram in enumerate(self.grams)})

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return logits, float32 (texts, topics); of a text without any known sequence, the bias."""
        return np.array([self._logits_of(text) for text in texts], np.float32).reshape(-1, len(self.bias))

    def _logits_of(self, text: str) -> np.ndarray:
        counts = Counter(cut_grams(text))
        known = [(self._places[gram], count) for gram, count in counts.items() if gram in self._places]
        if not known:
            return self.bias
        places = [place for place, _ in known]
        values = np.array([1 + math.log(count) for _, count in known], np.float32) * self.idf[places]
        found: np.ndarray = values / np.linalg.norm(values) @ self.weights[places] + self.bias
        return found

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
