"""Say how good the model in use is, what more labels would buy, and which labels to look at again.

    python -m training.evaluate [--model NAME] [--out FOLDER]

Writes the report of `training.report` with three sections more, which train on the frozen
encoder again and again.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from data.annotations import DEFAULT_FILES
from data.topics import DEFAULT_TOPICS
from models import store
from models.artifact import Artifact, read_artifact
from training.fine_tune import prepare
from training.learning_curve import Point, gain_of_next, measure_curve
from training.report import write_report
from training.settings import TrainSettings
from training.spread import N_SEEDS, Spread, measure_spread
from training.train import TrainingData, read_data
from training.zero_shot import LeftOut, leave_each_out

N_NEXT_LABELS = 50
DEFAULT_REPORT = store.MODELS.parent / "report"


def evaluate(folder: Path, data: TrainingData, out: Path) -> str:
    """Write the whole report of the artifact in `folder` to `out`; raises as `write_report` does."""
    artifact = read_artifact(folder)
    return write_report(folder, data.paragraphs, data.test, data.topics, out, more_sections(artifact, data))


def more_sections(artifact: Artifact, data: TrainingData) -> list[str]:
    """Train on the frozen encoder again and again, with topics left out, other folds and fewer labels; return Markdown."""
    known = {field.name for field in fields(TrainSettings)}
    settings = TrainSettings(**{key: value for key, value in artifact.settings.items() if key in known})
    paragraphs, phrases = prepare(data.paragraphs, settings), prepare(data.phrases, settings)
    lines = []
    if data.test is not None and not artifact.exclusive:
        lines += _zero_shot(leave_each_out(paragraphs, prepare(data.test, settings), data.topics, settings))
    points = measure_curve(paragraphs, phrases, data.topics, settings)
    spread = measure_spread(paragraphs, phrases, data.topics, settings, own=points[-1].macro_f1)
    return lines + _spread(spread) + _curve(points)


def _zero_shot(found: Sequence[LeftOut]) -> list[str]:
    lines = [
        "## Topics nobody annotated\n",
        "Each topic in turn had its labels hidden from the training (frozen encoder) and was found on the test paragraphs "
        "from its name and definition, or from these and its phrases.\n",
        "| topic | definition: average precision | F1 | with phrases: average precision | F1 |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in found:
        cells = [f"{score.average_precision:.3f} | {score.f1:.3f}" for score in (row.definition_only, row.with_phrases)]
        lines.append(f"| `{row.with_phrases.topic}` | {' | '.join(cells)} |")
    return [*lines, ""]


def _spread(found: Sequence[Spread]) -> list[str]:
    lines = [
        "## What hangs on the split\n",
        f"Out of fold on the frozen encoder, articles and writers dealt into folds with {N_SEEDS} seeds, the training's "
        "own first; thresholds are fitted on the same predictions.\n",
        "| paragraphs | macro F1, mean | standard deviation | each |",
        "| --- | --- | --- | --- |",
    ]
    for row in found:
        each = ", ".join(f"{score:.3f}" for score in row.macro_f1)
        lines.append(f"| {row.origin} | {row.mean:.3f} | {row.deviation:.3f} | {each} |")
    return [*lines, ""]


def _curve(points: list[Point]) -> list[str]:
    origins = list(points[-1].macro_f1)
    lines = [
        "## What more labels buy\n",
        "Out of fold on the frozen encoder, with growing shares of the articles and writers.\n",
        f"| paragraphs | articles and writers | {' | '.join(f'macro F1, {origin}' for origin in origins)} |",
        f"| --- | --- |{' --- |' * len(origins)}",
    ]
    for point in points:
        cells = " | ".join(f"{point.macro_f1[origin]:.3f}" for origin in origins)
        lines.append(f"| {point.n_paragraphs} | {point.n_groups} | {cells} |")
    gains = ", ".join(f"{gain_of_next(points, origin, N_NEXT_LABELS):+.4f} ({origin})" for origin in origins)
    return [*lines, "", f"By this curve the next {N_NEXT_LABELS} labels buy {gains} of macro F1.\n"]


def main(arguments: list[str] | None = None) -> int:
    """Print and write the report. Exit status 1 if model or data is wrong."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description="Evaluate a model.")
    parser.add_argument(
        "--model",
        default=None,
        help="released, a tag of the model store, or an artifact folder; default: the one in use",
    )
    parser.add_argument("--annotations", type=Path, nargs="+", default=DEFAULT_FILES, help="what it was trained on")
    parser.add_argument("--test", type=Path, nargs="+", default=None, help="what it was not trained on")
    parser.add_argument("--topics", type=Path, default=DEFAULT_TOPICS)
    parser.add_argument("--out", type=Path, default=DEFAULT_REPORT)
    options = parser.parse_args(arguments)
    try:
        folder = store.resolve(options.model or store.current_name())
        data = read_data(options.topics, options.annotations, options.test)
        print(evaluate(folder, data, options.out))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"written to {options.out / 'report.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
