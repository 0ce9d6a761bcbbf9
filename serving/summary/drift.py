"""How far tags have moved from the training data: the population stability index.

    PSI = sum over bins of (q - p) ln(q / p)

p is the share of the training paragraphs in a bin, q that of the tagged ones. It is the
symmetric divergence of Kullback and Leibler; the name and the usual bounds, 0.1 and
0.25, come from credit scoring (N. Siddiqi, Credit Risk Scorecards, Wiley 2006, chapter
on monitoring). Where nothing has moved it is not 0 but about (B - 1)(1/N + 1/M) for B bins, N
tagged and M training paragraphs, as it is then nearly that times a chi-square over its
B - 1 degrees of freedom (B. Yurdakul, Statistical Properties of Population Stability Index,
dissertation, Western Michigan University 2018). That holds for paragraphs drawn one by
one; those of one article resemble each other, so that their PSI is a little larger.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.artifact import Artifact, read_artifact
from models.decisions import decide
from models.out_of_fold import read_out_of_fold
from models.store import find_version
from serving.summary.counts import Counts
from serving.summary.tagged import Tagged

LITTLE, MUCH = 0.1, 0.25
# Bins of the training with a smaller share, or fewer paragraphs, are joined with their neighbours.
MIN_SHARE, MIN_TRAINING = 0.01, 10
# So many paragraphs are to be expected in the smallest bin, the usual rule for a chi-square ...
MIN_EXPECTED = 5
# ... and no more than this may come of chance alone.
MAX_CHANCE = LITTLE / 2
# Added to each bin, so that an empty one does not make the index infinite.
SMOOTHING = 0.5


@dataclass(frozen=True)
class Training:
    """A version and the counts of its training paragraphs, as networks that had not seen them tagged them."""

    artifact: Artifact
    counts: Counts
    has_lengths: bool
    """False for versions that kept no lengths."""


@dataclass(frozen=True)
class Stability:
    """A distribution beside that of the training."""

    psi: float
    """0 or more."""
    by_chance: float
    """The index to be expected where nothing has moved."""
    needed: float
    """Paragraphs from which on it can be trusted; infinite where the training has too few."""
    paragraphs: int

    def __str__(self) -> str:
        if self.needed == math.inf:
            return "too few such paragraphs in the training"
        if self.paragraphs < self.needed:
            return f"too few paragraphs, trust it from {self.needed:,.0f} on"
        return "stable" if self.psi < LITTLE else "some shift" if self.psi <= MUCH else "shift"


def training_of(version: str) -> Training:
    """Return the training of a version.

    Raises:
        FileNotFoundError: there is no such version here, or it kept nothing out of fold.
        ValueError: it is damaged.
    """
    folder = find_version(version)
    if folder is None:
        raise FileNotFoundError("this version is neither the released one nor in the store")
    artifact, kept = read_artifact(folder), read_out_of_fold(folder)
    if kept.logits.shape[1] != len(artifact.topics):
        raise ValueError(f"{folder}: what it kept out of fold is of other topics; restore the folder or train again")
    decided = decide(artifact.topics, kept.logits, artifact.exclusive)
    ids = tuple(topic.id for topic in artifact.topics)
    counts = Counts(ids)
    for row, answer in enumerate(decided.answers()):
        given = tuple(ids[place] for place in np.flatnonzero(decided.given[row]))
        scores = dict(zip(ids, decided.probabilities[row].tolist(), strict=True))
        characters = kept.characters[row] if kept.characters else 0
        counts.add(Tagged(kept.ids[row], "", characters, answer, given, scores, version))
    return Training(artifact, counts, bool(kept.characters))


def compare(training: Sequence[int], tagged: Sequence[int]) -> Stability:
    """Compare two histograms of the same bins."""
    bins = _join(training)
    then, now = (np.array([sum(counts[start:end]) for start, end in bins], float) for counts in (training, tagged))
    m, n, degrees = then.sum(), now.sum(), len(bins) - 1
    p, q = ((counts + SMOOTHING) / (counts + SMOOTHING).sum() for counts in (then, now))
    room = MAX_CHANCE - degrees / m if m else 0
    can_be = degrees > 0 and room > 0
    needed = math.ceil(max(MIN_EXPECTED * m / then.min(), degrees / room)) if can_be else math.inf
    by_chance = degrees * (1 / n + 1 / m) if n and m else math.inf
    return Stability(float(((q - p) * np.log(q / p)).sum()), by_chance, needed, int(n))


def _join(training: Sequence[int]) -> list[tuple[int, int]]:
    """Return the bins as ranges [start, end) of the histogram's, each with enough of the training."""
    enough = max(MIN_SHARE * sum(training), MIN_TRAINING)
    ends, held = [], 0
    for place, count in enumerate(training, start=1):
        held += count
        if held >= enough:
            ends.append(place)
            held = 0
    # What is left at the end belongs to the last bin.
    ends[-1:] = [len(training)]
    return list(zip([0, *ends[:-1]], ends, strict=True))
