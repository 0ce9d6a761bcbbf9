"""Say how good the model in use is, beside the baselines it must beat.

    python -m training.evaluate [--model NAME] [--out FOLDER]

Reads the out-of-fold logits that the training kept in the artifact, so every figure is
about articles the scoring network never saw, and writes `report.md` with pictures.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.annotations import DEFAULT_FILES, Annotation, load_annotation_files
from data.topics import DEFAULT_TOPICS, Topic, load_topics
from models import store
from models.artifact import Artifact, read_artifact
from models.decisions import decide
from training import baselines, pictures
from training.examples import Examples, from_annotations, from_phrases, split_by_group
from training.metrics import TopicScore, interval, macro_f1, micro_f1, score_topics
from training.train import OUT_OF_FOLD_FILE

N_MISTAKES = 20
ORIGINS = {"seed": "Seed articles, whole articles held out", "written": "Written paragraphs, whole writers held out"}
DEFAULT_REPORT = store.MODELS.parent / "report"


@dataclass(frozen=True)
class Evaluation:
    """One method's out-of-fold predictions, arrays (paragraphs, topics)."""

    method: str
    probabilities: np.ndarray
    given: np.ndarray


def evaluate(folder: Path, annotations: list[Annotation], topics: tuple[Topic, ...], out: Path) -> str:
    """Write the report of the artifact in `folder` to `out` and return its text.

    Raises:
        FileNotFoundError: the artifact keeps no out-of-fold logits.
        ValueError: it was trained on other annotations or topics.
    """
    artifact = read_artifact(folder)
    ids = [topic.id for topic in topics]
    if [topic.id for topic in artifact.topics] != ids:
        raise ValueError(f"{folder}: the model's topics are not those of the topics file; train again")
    examples = from_annotations(annotations, topics)
    decided = decide(artifact.topics, read_out_of_fold(folder, examples))
    probabilities, given, uncertain = decided.probabilities, decided.given, decided.uncertain
    evaluations = [Evaluation("Duanbiao", probabilities, given), *evaluate_baselines(examples, topics, artifact)]
    out.mkdir(parents=True, exist_ok=True)
    pictures.draw_reliability(out / "reliability.png", ids, examples.labels, probabilities)
    pictures.draw_precision_recall(out / "precision_recall.png", ids, examples.labels, probabilities)
    lines = _head(artifact)
    for origin, title in ORIGINS.items():
        places = examples.of_origin(origin)
        if len(places):
            part = examples.take(places)
            unsure = uncertain[places].any(axis=1).mean()
            lines += [f"## {title}\n", f"{len(part)} paragraphs, answered `unsure`: {unsure:.1%}.\n"]
            lines += _methods(evaluations, part, places)
            lines += _topics(score_topics(ids, part.labels, given[places], probabilities[places]), artifact)
    lines += ["## Pictures\n", "![reliability](reliability.png)\n", "![precision and recall](precision_recall.png)\n"]
    lines += _mistakes(annotations, artifact, probabilities, given)
    text = "\n".join(lines)
    unfinished = out / "report.tmp"
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(out / "report.md")
    return text


def read_out_of_fold(folder: Path, examples: Examples) -> np.ndarray:
    """Return the logits (examples, topics) that the training kept for these examples."""
    path = folder / OUT_OF_FOLD_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path}: missing, so nothing can be said of unseen articles; train again")
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    kept = {row["id"]: row["logits"] for row in rows}
    missing = [example_id for example_id in examples.ids if example_id not in kept]
    if missing:
        raise ValueError(f"{path}: holds nothing for {missing[0]}; the annotations changed since, so train again")
    return np.array([kept[example_id] for example_id in examples.ids], dtype=np.float32)


def evaluate_baselines(examples: Examples, topics: tuple[Topic, ...], artifact: Artifact) -> list[Evaluation]:
    """Evaluate the baselines on the very folds that the model's logits come from."""
    keywords = baselines.keyword_decisions(examples.texts, topics)
    tfidf = np.zeros(examples.labels.shape)
    phrases = from_phrases(topics)
    folds = split_by_group(examples, int(artifact.settings["n_folds"]), int(artifact.settings["seed"]))
    for train, held_out in folds:
        known = examples.take(train).joined(phrases)
        tfidf[held_out] = baselines.tfidf_probabilities(known, examples.take(held_out).texts)
    return [
        Evaluation("keyword list", keywords.astype(float), keywords),
        Evaluation("TF-IDF + logistic regression", tfidf, tfidf >= 0.5),
    ]


def _head(artifact: Artifact) -> list[str]:
    return [
        f"# How good is {artifact.settings.get('name', 'the model')} {artifact.version}\n",
        "Every paragraph was scored by a network that saw no paragraph of the same article, or of the same writer. "
        "Thresholds and calibration were fitted on these same predictions, so expect a little less on new text. "
        "Intervals are 95% bootstraps over whole articles or writers.\n",
    ]


def _methods(evaluations: list[Evaluation], part: Examples, places: np.ndarray) -> list[str]:
    lines = ["| method | macro F1 | micro F1 |", "| --- | --- | --- |"]
    for evaluation in evaluations:
        cells = []
        for measure in (macro_f1, micro_f1):
            low, high = interval(measure, part.labels, evaluation.given[places], part.groups)
            cells.append(f"{measure(part.labels, evaluation.given[places]):.3f} ({low:.3f} to {high:.3f})")
        lines.append(f"| {evaluation.method} | {' | '.join(cells)} |")
    return [*lines, ""]


def _topics(scores: list[TopicScore], artifact: Artifact) -> list[str]:
    lines = [
        "| topic | paragraphs | precision | recall | F1 | average precision | calibration error | threshold | uncertain band |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for score, topic in zip(scores, artifact.topics, strict=True):
        figures = (score.precision, score.recall, score.f1, score.average_precision, score.calibration_error)
        cells = " | ".join(f"{figure:.3f}" for figure in figures)
        low, high = topic.band
        lines.append(f"| `{score.topic}` | {score.n} | {cells} | {topic.threshold:.2f} | {low:.2f} to {high:.2f} |")
    return [*lines, ""]


def _mistakes(
    annotations: list[Annotation], artifact: Artifact, probabilities: np.ndarray, given: np.ndarray
) -> list[str]:
    """List the decisions that were wrong with the greatest certainty."""
    lines = [f"## The worst mistakes, at most {N_MISTAKES}\n"]
    found = []
    for row, annotation in enumerate(annotations):
        for column, topic in enumerate(artifact.topics):
            if given[row, column] != (topic.id in annotation.topics):
                found.append((abs(probabilities[row, column] - topic.threshold), row, column))
    for _, row, column in sorted(found, reverse=True)[:N_MISTAKES]:
        said = "given" if given[row, column] else "missed"
        topic_id = artifact.topics[column].id
        lines.append(
            f"- `{topic_id}` {said} at {probabilities[row, column]:.2f}, {annotations[row].id}: {annotations[row].text}"
        )
    return [*lines, ""]


def main(arguments: list[str] | None = None) -> int:
    """Print and write the report. Exit status 1 if model or data is wrong."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description="Evaluate a model.")
    parser.add_argument(
        "--model",
        default=None,
        help="released, a tag of the model store, or an artifact folder; default: the one in use",
    )
    parser.add_argument("--annotations", type=Path, nargs="+", default=DEFAULT_FILES)
    parser.add_argument("--topics", type=Path, default=DEFAULT_TOPICS)
    parser.add_argument("--out", type=Path, default=DEFAULT_REPORT)
    options = parser.parse_args(arguments)
    try:
        topics = load_topics(options.topics)
        annotations = load_annotation_files(options.annotations, topics)
        folder = store.resolve(options.model or store.current_name())
        print(evaluate(folder, annotations, topics, options.out))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"written to {options.out / 'report.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
