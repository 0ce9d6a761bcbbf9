"""The report on a model, beside the baselines it must beat.

Three figures stand apart: test paragraphs by hands that training never saw, scored by the
model as it ships; seed paragraphs and written paragraphs, each scored out of fold by a
network that saw no paragraph of the same article or writer.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.topics import Topic
from models.artifact import Artifact, read_artifact
from models.decisions import Decisions, decide
from models.network import UNKNOWN
from models.out_of_fold import read_out_of_fold
from models.tagger import Tagger
from training import baselines, pictures
from training.blanking import Blanking, measure_blanking
from training.examples import Examples, from_phrases, split_by_group
from training.metrics import interval, macro_f1, measure, micro_f1
from training.whole_files import write_whole

N_AUDITED = 20
ORIGINS = {"seed": "Seed articles, whole articles held out", "written": "Written paragraphs, whole writers held out"}


@dataclass(frozen=True)
class Evaluation:
    """One method's predictions, arrays (paragraphs, topics)."""

    method: str
    probabilities: np.ndarray
    given: np.ndarray


def write_report(
    folder: Path,
    examples: Examples,
    test: Examples | None,
    topics: tuple[Topic, ...],
    out: Path,
    more: list[str] | None = None,
) -> str:
    """Write `report.md` and its pictures on the artifact in `folder` to `out`; return the text.

    Args:
        folder: an artifact folder with its out-of-fold logits.
        examples: what it was trained on.
        test: what it was not trained on.
        topics: the model's topics.
        out: the report's folder.
        more: further sections, lines of Markdown.

    Raises:
        FileNotFoundError: the artifact keeps no out-of-fold logits.
        ValueError: it was trained on other annotations or topics.
    """
    artifact = read_artifact(folder)
    ids = [topic.id for topic in topics]
    if [topic.id for topic in artifact.topics] != ids:
        raise ValueError(f"{folder}: the model's topics are not those of the topics file; train again")
    decided = decide(artifact.topics, read_out_of_fold(folder).logits_of(examples.ids), artifact.exclusive)
    out.mkdir(parents=True, exist_ok=True)
    pictures.draw_reliability(out / "reliability.png", ids, examples.labels, decided.probabilities)
    pictures.draw_precision_recall(out / "precision_recall.png", ids, examples.labels, decided.probabilities)
    tagger = Tagger(folder)
    lines = _head(artifact)
    if test is not None:
        lines += _test_section(tagger, test, examples, topics)
    lines += _held_out_sections(artifact, examples, decided, topics)
    lines += ["## Pictures\n", "![reliability](reliability.png)\n", "![precision and recall](precision_recall.png)\n"]
    lines += _evidence(measure_blanking(tagger, (test or examples).texts, seed=0))
    lines += [*(more or []), *_audit(examples, artifact, decided)]
    text = "\n".join(lines)
    write_whole(out / "report.md", text)
    return text


def evaluate_baselines(examples: Examples, topics: tuple[Topic, ...], artifact: Artifact) -> list[Evaluation]:
    """Evaluate the baselines on the very folds that the model's logits come from."""
    keywords = baselines.keyword_decisions(examples.texts, topics)
    tfidf = np.zeros(examples.labels.shape)
    phrases = from_phrases(topics)
    folds = split_by_group(examples, int(artifact.settings["n_folds"]), int(artifact.settings["seed"]))
    for train, held_out in folds:
        known = examples.take(train).joined(phrases)
        tfidf[held_out] = baselines.tfidf_probabilities(known, examples.take(held_out).texts)
    return _baseline_evaluations(keywords, tfidf)


def _baseline_evaluations(keywords: np.ndarray, tfidf: np.ndarray) -> list[Evaluation]:
    return [
        Evaluation("keyword list", keywords.astype(float), keywords),
        Evaluation("TF-IDF + logistic regression", tfidf, tfidf >= 0.5),
    ]


def _head(artifact: Artifact) -> list[str]:
    return [
        f"# How good is {artifact.settings.get('name', 'the model')} {artifact.version}\n",
        "Test paragraphs were scored by the model as it ships. Every other paragraph was scored by a network that saw "
        "no paragraph of the same article, or of the same writer; thresholds and calibration were fitted on these same "
        "predictions, so expect a little less on new text. Intervals are 95% bootstraps over whole articles or writers; "
        "of the test paragraphs, which have few writers, over paragraphs.\n",
    ]


def _test_section(tagger: Tagger, test: Examples, known: Examples, topics: tuple[Topic, ...]) -> list[str]:
    artifact = tagger.artifact
    decided = decide(artifact.topics, tagger.logits(tagger.encode(test.texts)), artifact.exclusive)
    keywords = baselines.keyword_decisions(test.texts, topics)
    tfidf = baselines.tfidf_probabilities(known.joined(from_phrases(topics)), test.texts)
    evaluations = [
        Evaluation("Duanbiao", decided.probabilities, decided.given),
        *_baseline_evaluations(keywords, tfidf),
    ]
    places = np.arange(len(test))
    lines = ["## Test paragraphs, never trained on\n", _unsure(decided, places)]
    lines += _methods(evaluations, test, places, test.ids)
    for writer in sorted(set(test.groups)):
        chosen = np.flatnonzero(np.array(test.groups) == writer)
        lines.append(
            f"- {writer}: {len(chosen)} paragraphs, macro F1 {macro_f1(test.labels[chosen], decided.given[chosen]):.3f}"
        )
    return [*lines, "", *_topics(test, decided, artifact)]


def _held_out_sections(
    artifact: Artifact, examples: Examples, decided: Decisions, topics: tuple[Topic, ...]
) -> list[str]:
    evaluations = [
        Evaluation("Duanbiao", decided.probabilities, decided.given),
        *evaluate_baselines(examples, topics, artifact),
    ]
    lines = []
    for origin, title in ORIGINS.items():
        places = examples.of_origin(origin)
        if len(places):
            part = examples.take(places)
            lines += [f"## {title}\n", _unsure(decided, places), *_methods(evaluations, part, places, part.groups)]
            lines += _topics(part, decided.take(places), artifact)
    return lines


def _unsure(decided: Decisions, places: np.ndarray) -> str:
    return f"{len(places)} paragraphs, answered `unsure`: {decided.uncertain[places].any(axis=1).mean():.1%}.\n"


def _methods(evaluations: list[Evaluation], part: Examples, places: np.ndarray, groups: tuple[str, ...]) -> list[str]:
    lines = ["| method | macro F1 | micro F1 |", "| --- | --- | --- |"]
    for evaluation in evaluations:
        cells = []
        for figure in (macro_f1, micro_f1):
            low, high = interval(figure, part.labels, evaluation.given[places], groups)
            cells.append(f"{figure(part.labels, evaluation.given[places]):.3f} ({low:.3f} to {high:.3f})")
        lines.append(f"| {evaluation.method} | {' | '.join(cells)} |")
    return [*lines, ""]


def _topics(part: Examples, decided: Decisions, artifact: Artifact) -> list[str]:
    lines = [
        "| topic | paragraphs | precision | recall | F1 | average precision | calibration error | threshold | "
        "uncertain band | right outside it |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    figures: dict[str, Any] = measure([topic.id for topic in artifact.topics], part, decided)["topics"]
    names = ("precision", "recall", "f1", "average_precision", "calibration_error")
    for topic in artifact.topics:
        score = figures[topic.id]
        cells = " | ".join(f"{score[name]:.3f}" for name in names)
        low, high = topic.band
        lines.append(
            f"| `{topic.id}` | {score['n']} | {cells} | {topic.threshold:.2f} | {low:.2f} to {high:.2f} | "
            f"{score['right_outside_band']:.3f} |"
        )
    return [*lines, ""]


def _evidence(found: Blanking) -> list[str]:
    return [
        "## Evidence\n",
        f"{found.n} topics given to paragraphs, each with evidence of at most half of the text (on average "
        f"{found.evidence_share:.0%}). Blanking the evidence lowers the topic's logit by {found.evidence:.2f} on average "
        f"and takes the topic away in {found.evidence_flips:.0%}; blanking as much other text lowers it by "
        f"{found.other:.2f} and takes it away in {found.other_flips:.0%}.\n",
    ]


def _audit(examples: Examples, artifact: Artifact, decided: Decisions) -> list[str]:
    """List the annotations that the out-of-fold network contradicts with the greatest certainty."""
    lines = [f"## For a second look: the {N_AUDITED} annotations contradicted most\n"]
    found = []
    for row, column in np.argwhere((decided.given != (examples.labels > 0.5)) & (examples.labels != UNKNOWN)):
        threshold = artifact.topics[column].threshold
        found.append((abs(decided.probabilities[row, column] - threshold), int(row), int(column)))
    for _, row, column in sorted(found, reverse=True)[:N_AUDITED]:
        said = "given" if decided.given[row, column] else "missed"
        lines.append(
            f"- `{artifact.topics[column].id}` {said} at {decided.probabilities[row, column]:.2f}, "
            f"{examples.ids[row]}: {examples.texts[row]}"
        )
    return [*lines, ""]
