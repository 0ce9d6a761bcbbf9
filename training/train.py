"""Train a tagger: cross-validate, train on everything, calibrate, export, promote.

    python -m training.train [--topics FILE] [--annotations FILE] [--name NAME] [--base BASE]

A run keeps its state in `models/runs`; started again with the same data and settings
it goes on where it was. The finished version goes into the model store and becomes
the one in use.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from data.annotations import DEFAULT_FILES, load_annotation_files
from data.topics import DEFAULT_TOPICS, Topic, load_topics
from models import store
from models.artifact import MODEL_FILE, TOKENIZER_FILE, Artifact, TopicDecision, file_hash, write_tagger_file
from models.decisions import decide
from models.export import export_onnx
from models.network import TopicNetwork, snap_weights
from training.calibrate import decide_topics
from training.cross_validate import out_of_fold_logits
from training.examples import Examples, from_annotations, from_phrases
from training.fine_tune import fine_tune, is_main_process, tokenizer_of
from training.metrics import interval, macro_f1, micro_f1, score_topics
from training.settings import TrainSettings

DEFAULT_NAME = "duanbiao"
OUT_OF_FOLD_FILE = "out_of_fold.jsonl"
LIBRARIES = ("torch", "transformers", "tokenizers", "datasets", "scikit-learn", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from, and the hashes that identify it."""

    topics: tuple[Topic, ...]
    paragraphs: Examples
    phrases: Examples
    hashes: dict[str, str]


def read_data(topics_path: Path, annotation_paths: Sequence[Path]) -> TrainingData:
    """Read and check topics and annotations.

    Args:
        topics_path: the topics file.
        annotation_paths: annotation files, which are put together.

    Raises:
        OSError, ValueError: a file is missing or wrong; the message says where.
    """
    topics = load_topics(topics_path)
    annotations = load_annotation_files(annotation_paths, topics)
    hashes = {path.name: file_hash(path) for path in (topics_path, *annotation_paths)}
    return TrainingData(topics, from_annotations(annotations, topics), from_phrases(topics), hashes)


def run_folder(name: str, data: TrainingData, settings: TrainSettings) -> Path:
    """Return the folder of the run with this data and these settings."""
    identity = json.dumps([data.hashes, asdict(settings), version("torch")], sort_keys=True)
    return store.RUNS / f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def train(name: str, data: TrainingData, settings: TrainSettings) -> str:
    """Run everything and return the tag of the new version, which is then in use."""
    folder = run_folder(name, data, settings)
    folder.mkdir(parents=True, exist_ok=True)
    print(f"run {folder}: {len(data.paragraphs)} paragraphs, {len(data.phrases)} phrases")
    logits = out_of_fold_logits(data.paragraphs, data.phrases, settings, folder)
    decisions = decide_topics(data.topics, logits, data.paragraphs.labels, data.paragraphs.groups, settings.seed)
    print("final model: all paragraphs")
    network = fine_tune(data.paragraphs.joined(data.phrases), settings, folder / "final")
    snap_weights(network)
    tag = ""
    if is_main_process():
        artifact = describe(name, data, settings, decisions, logits)
        tag = store.save(
            f"{name}:{artifact.version}", lambda target: write_artifact(target, artifact, network, data, logits)
        )
        store.promote(tag)
        print_figures(artifact.metrics)
        print(f"saved as {tag} and in use")
    return tag


def describe(
    name: str, data: TrainingData, settings: TrainSettings, decisions: tuple[TopicDecision, ...], logits: np.ndarray
) -> Artifact:
    """Put together what `tagger.json` says of this run."""
    now = datetime.now(UTC)
    return Artifact(
        version=now.strftime("%Y%m%d-%H%M%S"),
        topics=decisions,
        base=settings.base,
        max_length=settings.max_length,
        created=now.isoformat(timespec="seconds"),
        data=data.hashes,
        metrics=out_of_fold_metrics(data.paragraphs, decisions, logits),
        settings={"name": name, **asdict(settings)},
        libraries={library: version(library) for library in LIBRARIES},
    )


def out_of_fold_metrics(examples: Examples, decisions: Sequence[TopicDecision], logits: np.ndarray) -> dict[str, Any]:
    """Return the figures that stand in `tagger.json`: all out of fold, whole articles held out."""
    decided = decide(decisions, logits)
    metrics: dict[str, Any] = {
        "what": "out of fold: each article or writer scored by a network that never saw it; "
        "thresholds were fitted on the same predictions"
    }
    for origin in sorted(set(examples.origins)):
        places = examples.of_origin(origin)
        part = examples.take(places)
        measured = score_topics(
            [topic.id for topic in decisions], part.labels, decided.given[places], decided.probabilities[places]
        )
        low, high = interval(macro_f1, part.labels, decided.given[places], part.groups)
        metrics[origin] = {
            "n_paragraphs": len(part),
            "n_groups": len(set(part.groups)),
            "macro_f1": round(macro_f1(part.labels, decided.given[places]), 4),
            "macro_f1_interval": [round(low, 4), round(high, 4)],
            "micro_f1": round(micro_f1(part.labels, decided.given[places]), 4),
            "unsure_share": round(float(decided.uncertain[places].any(axis=1).mean()), 4),
            "topics": {
                score.topic: {key: round(value, 4) for key, value in asdict(score).items() if key != "topic"}
                for score in measured
            },
        }
    return metrics


def write_artifact(
    target: Path, artifact: Artifact, network: TopicNetwork, data: TrainingData, logits: np.ndarray
) -> None:
    """Write model, tokenizer, description and out-of-fold logits into an empty folder."""
    tokenizer = tokenizer_of(artifact.base)
    export_onnx(network, target / MODEL_FILE)
    tokenizer.save(str(target / TOKENIZER_FILE))
    with (target / OUT_OF_FOLD_FILE).open("w", encoding="utf-8") as file:
        for example_id, row in zip(data.paragraphs.ids, logits, strict=True):
            file.write(json.dumps({"id": example_id, "logits": [round(float(x), 5) for x in row]}) + "\n")
    write_tagger_file(artifact, target)


def print_figures(metrics: dict[str, Any]) -> None:
    """Print the out-of-fold figures as small tables, one for each origin of paragraphs."""
    for origin, figures in metrics.items():
        if not isinstance(figures, dict):
            continue
        low, high = figures["macro_f1_interval"]
        print(f"{origin}, out of fold: macro F1 {figures['macro_f1']:.3f} (95% {low:.3f} to {high:.3f})")
        for topic, score in figures["topics"].items():
            cells = f"precision {score['precision']:.3f}  recall {score['recall']:.3f}  F1 {score['f1']:.3f}"
            print(f"  {topic:22s} n {score['n']:4d}  {cells}")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and train. Exit status 1 if the data is wrong."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description="Train a tagger.")
    parser.add_argument("--topics", type=Path, default=DEFAULT_TOPICS)
    parser.add_argument("--annotations", type=Path, nargs="+", default=DEFAULT_FILES, help="annotation files")
    parser.add_argument("--name", default=DEFAULT_NAME, help="lower-case name of the tagger in the model store")
    defaults = TrainSettings()
    for field in fields(TrainSettings):
        value = getattr(defaults, field.name)
        parser.add_argument(f"--{field.name}", type=type(value), default=value)
    options = parser.parse_args(arguments)
    settings = replace(defaults, **{field.name: getattr(options, field.name) for field in fields(TrainSettings)})
    try:
        train(options.name, read_data(options.topics, options.annotations), settings)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
