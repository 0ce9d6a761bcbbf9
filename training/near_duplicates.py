"""Find texts that are nearly the same, so that they never stand on both sides of a split."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import HashingVectorizer

# Texts that share this part of the shorter one's character sequences are near duplicates.
MIN_SHARED = 0.5
SEQUENCE_LENGTH = 6
# Texts compared at a time; bounds the memory to this many rows of overlaps.
CHUNK = 1000


def near_duplicates(texts: Sequence[str], others: Sequence[str]) -> list[tuple[int, int]]:
    """Return (place in texts, place in others) of near duplicates.

    Two texts are near duplicates if at least half of the shorter one's distinct sequences
    of six characters (white space aside) stand in the other too: containment, as Broder
    1997 defines it, so that an excerpt counts as well. Shorter texts must be equal.
    """
    if not texts or not others:
        return []
    first, second = _sequences(texts), _sequences(others)
    second_sizes = np.asarray(second.sum(axis=1)).ravel()
    found = []
    for start in range(0, first.shape[0], CHUNK):
        chunk = first[start : start + CHUNK]
        shared = (chunk @ second.T).tocoo()
        sizes = np.minimum(np.asarray(chunk.sum(axis=1)).ravel()[shared.row], second_sizes[shared.col])
        near = shared.data >= MIN_SHARED * sizes
        pairs = zip(shared.row[near] + start, shared.col[near], strict=True)
        found += [(int(row), int(column)) for row, column in pairs]
    return sorted(found)


def number_twins(texts: Sequence[str]) -> np.ndarray:
    """Return a number for each text, int (texts,): near duplicates, also by way of others, share theirs."""
    merged = merge_groups(texts, [str(place) for place in range(len(texts))])
    return np.array([int(name) for name in merged], dtype=int)


def merge_groups(texts: Sequence[str], groups: Sequence[str]) -> tuple[str, ...]:
    """Return the groups, with those that share a near duplicate made one."""
    names = sorted(set(groups))
    number = {name: place for place, name in enumerate(names)}
    pairs = {(number[groups[row]], number[groups[column]]) for row, column in near_duplicates(texts, texts)}
    rows, columns = zip(*pairs, strict=True) if pairs else ((), ())
    graph = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(names)))
    _, component = connected_components(graph, directed=False)
    first_of: dict[int, str] = {}
    for name in names:
        first_of.setdefault(int(component[number[name]]), name)
    return tuple(first_of[int(component[number[group]])] for group in groups)


def _sequences(texts: Sequence[str]) -> csr_matrix:
    """Return which sequences of characters each text holds: 0 or 1, (texts, hashes)."""
    shortened = ["".join(text.split()) for text in texts]
    counts = HashingVectorizer(
        analyzer=_cut, n_features=2**22, binary=True, norm=None, alternate_sign=False, dtype=np.float32
    ).transform(shortened)
    return counts.tocsr()


def _cut(text: str) -> list[str]:
    if len(text) <= SEQUENCE_LENGTH:
        return [text]
    return [text[start : start + SEQUENCE_LENGTH] for start in range(len(text) - SEQUENCE_LENGTH + 1)]
