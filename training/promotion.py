"""Whether a new model may take the place of the one in use: both on the same held-out paragraphs.

Two sets say so: the test paragraphs, scored by both as they ship, and the annotated
paragraphs that both were trained on, each scored out of fold by networks that saw nothing
of its article. The paragraphs' present labels count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.artifact import read_artifact
from models.decisions import decide
from models.out_of_fold import kept_logits, read_out_of_fold
from models.tagger import Tagger
from training.examples import Examples
from training.metrics import macro_f1, resample_groups

# What the new model may lose, in points of F1 from 0 to 1: less is within what another seed does.
MACRO_MARGIN, TOPIC_MARGIN = 0.01, 0.03
# With fewer articles the bootstrap draws paragraphs.
FEWEST_ARTICLES = 10
N_RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Answers:
    """What the two models give to the same paragraphs; bool (paragraphs, topics) of the topics that both know."""

    name: str
    """Of the set of paragraphs."""
    topics: tuple[str, ...]
    labels: np.ndarray
    groups: tuple[str, ...]
    """The article of each paragraph."""
    incumbent: np.ndarray
    candidate: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """Figures of the two models on one set of paragraphs, F1 from 0 to 1."""

    name: str
    n_paragraphs: int
    n_articles: int
    macro_f1: tuple[float, float]
    """Of the incumbent and the candidate."""
    interval: tuple[float, float]
    """95% paired bootstrap of the candidate's gain in macro F1."""
    topics: dict[str, tuple[float, float]]
    """F1 of each topic, of the incumbent and the candidate."""
    median_losses: dict[str, float]
    """What the candidate loses of each topic's F1 ("" is the macro F1), the bootstrap's median."""


def collect_answers(incumbent: Path, candidate: Path, examples: Examples, test: Examples | None) -> list[Answers]:
    """Let two artifacts answer; of the annotated paragraphs those that both keep out-of-fold logits of.

    Args:
        incumbent: artifact folder of the model in use.
        candidate: artifact folder of the new one, trained on `examples` and their topics.
        examples: the annotated paragraphs; columns of the labels are the candidate's topics.
        test: paragraphs that neither was trained on, labelled with the candidate's topics.

    Raises:
        ValueError: there is no paragraph, or no topic, to compare the two on.
    """
    found = []
    if test is not None:
        shipped = [_as_shipped(folder, test) for folder in (incumbent, candidate)]
        found.append(_answers("test paragraphs", test, incumbent, candidate, shipped))
    both = examples.take(_kept_by_both(incumbent, candidate, examples))
    if len(both):
        kept = [read_out_of_fold(folder).logits_of(both.ids) for folder in (incumbent, candidate)]
        found.append(_answers("annotated paragraphs, out of fold", both, incumbent, candidate, kept))
    if not found or not found[0].topics:
        raise ValueError(
            "the new model and the one in use have no held-out paragraph or no topic in common, so neither can be "
            "called the better; give test paragraphs with TEST=, or take the new one with 'make train'"
        )
    return found


def _as_shipped(folder: Path, test: Examples) -> np.ndarray:
    tagger = Tagger(folder)
    return tagger.logits(tagger.encode(test.texts))


def _kept_by_both(incumbent: Path, candidate: Path, examples: Examples) -> list[int]:
    kept = kept_logits(incumbent).keys() & kept_logits(candidate).keys()
    return [place for place, example_id in enumerate(examples.ids) if example_id in kept]


def _answers(name: str, examples: Examples, incumbent: Path, candidate: Path, logits: Sequence[np.ndarray]) -> Answers:
    artifacts = [read_artifact(folder) for folder in (incumbent, candidate)]
    ids = [[topic.id for topic in artifact.topics] for artifact in artifacts]
    shared = [topic for topic in ids[1] if topic in ids[0]]
    given = [
        decide(artifact.topics, rows, artifact.exclusive).given[:, [columns.index(topic) for topic in shared]]
        for artifact, rows, columns in zip(artifacts, logits, ids, strict=True)
    ]
    labels = examples.labels[:, [ids[1].index(topic) for topic in shared]] > 0.5
    return Answers(name, tuple(shared), labels, examples.groups, *given)


def compare(answers: Answers, seed: int = 0) -> Comparison:
    """Measure both models, and what of the difference is chance: the same articles drawn for both."""
    groups = answers.groups
    if len(set(groups)) < FEWEST_ARTICLES:
        groups = tuple(str(place) for place in range(len(groups)))
    draws = list(resample_groups(groups, N_RESAMPLES, seed))
    lost = {"": _losses(answers, draws, list(range(len(answers.topics))))}
    for column, topic in enumerate(answers.topics):
        lost[topic] = _losses(answers, draws, [column])
    low, high = np.percentile(-lost[""], [2.5, 97.5])
    return Comparison(
        name=answers.name,
        n_paragraphs=len(answers.labels),
        n_articles=len(set(answers.groups)),
        macro_f1=(macro_f1(answers.labels, answers.incumbent), macro_f1(answers.labels, answers.candidate)),
        interval=(float(low), float(high)),
        topics={
            topic: (
                macro_f1(answers.labels[:, [column]], answers.incumbent[:, [column]]),
                macro_f1(answers.labels[:, [column]], answers.candidate[:, [column]]),
            )
            for column, topic in enumerate(answers.topics)
        },
        median_losses={topic: float(np.median(losses)) for topic, losses in lost.items()},
    )


def _losses(answers: Answers, draws: Sequence[np.ndarray], columns: list[int]) -> np.ndarray:
    labels, old, new = (part[:, columns] for part in (answers.labels, answers.incumbent, answers.candidate))
    return np.array([macro_f1(labels[rows], old[rows]) - macro_f1(labels[rows], new[rows]) for rows in draws])


def reasons_to_keep(comparisons: Sequence[Comparison]) -> list[str]:
    """Return why the model in use stays; empty if the new one takes its place."""
    reasons = []
    for found in comparisons:
        for topic, loss in found.median_losses.items():
            margin, what = (TOPIC_MARGIN, f"F1 of {topic}") if topic else (MACRO_MARGIN, "macro F1")
            if loss > margin:
                reasons.append(f"{found.name}: {what} falls by {loss:.3f}, more than {margin}")
    return reasons
