"""Train a tagger: cross-validate, train on everything, calibrate, export, promote.

    python -m training.train [--topics FILE] [--annotations FILE …] [--test FILE] [--name NAME] [--base BASE]

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

from data.annotations import DEFAULT_FILES, Annotation, load_annotation_files
from data.topics import DEFAULT_TOPICS, Topic, load_topics
from models import store
from models.artifact import (
    LEXICON_FILE,
    MODEL_FILE,
    TOKENIZER_FILE,
    Artifact,
    TopicDecision,
    file_hash,
    read_artifact,
    write_tagger_file,
)
from models.decisions import decide
from models.export import export_onnx
from models.network import TopicNetwork
from models.out_of_fold import write_out_of_fold
from models.tagger import Tagger
from training.calibrate import decide_topics
from training.cross_validate import out_of_fold_logits
from training.examples import Examples, from_annotations, from_phrases, labels_of
from training.fine_tune import fit_network, is_main_process, leave_other_processes, prepare, tokenizer_of
from training.fit_lexicon import fit_lexicon
from training.head import encode
from training.metrics import measure
from training.report import write_report
from training.settings import TrainSettings
from training.split_guard import TEST_FILES, load_test, load_test_texts, refuse_test_texts, without_texts_of

DEFAULT_NAME = "duanbiao"
REPORT_FOLDER = "report"
# Texts that show the export in what range the network's states lie.
N_SAMPLES = 256
LIBRARIES = ("torch", "transformers", "tokenizers", "datasets", "scikit-learn", "onnx", "openvino", "numpy")


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from and is tested on, and the hashes that identify it."""

    topics: tuple[Topic, ...]
    paragraphs: Examples
    phrases: Examples
    test: Examples | None
    """Texts that no network of the run sees before its figures are taken."""
    hashes: dict[str, str]
    annotations: tuple[Annotation, ...]
    """What `paragraphs` come from, one for one."""


def read_data(
    topics_path: Path, annotation_paths: Sequence[Path], test_paths: Sequence[Path] | None = None
) -> TrainingData:
    """Read and check topics and annotations.

    Args:
        topics_path: the topics file.
        annotation_paths: annotation files, which are put together.
        test_paths: annotation files to report on. Annotations that nearly equal one of
            their texts are left out of the training. If None, the fixed test files, provided
            that the topics are the shipped ones.

    Raises:
        OSError, ValueError: a file is missing or wrong, or test paragraphs stand among the
            annotations; the message says where.
    """
    if test_paths is None:
        test_paths = TEST_FILES if topics_path.resolve() == DEFAULT_TOPICS else []
    topics = load_topics(topics_path)
    annotations = load_annotation_files(annotation_paths, topics)
    refuse_test_texts(annotations, load_test_texts())
    test = load_test(test_paths, topics)
    kept = without_texts_of(annotations, test)
    if len(kept) < len(annotations):
        print(f"{len(annotations) - len(kept)} annotations nearly equal a test text and are left out of the training")
    paragraphs = from_annotations(kept, topics)
    if paragraphs.exclusive:
        print("every annotation has exactly one topic: the topics exclude each other")
    paths = (topics_path, *annotation_paths, *test_paths)
    hashes = {path.name: file_hash(path) for path in paths}
    tested = _test_examples(test, topics, paragraphs.exclusive) if test else None
    return TrainingData(topics, paragraphs, from_phrases(topics, paragraphs.exclusive), tested, hashes, tuple(kept))


def _test_examples(test: Sequence[Annotation], topics: tuple[Topic, ...], exclusive: bool) -> Examples:
    return replace(from_annotations(test, topics), labels=labels_of(test, topics), exclusive=exclusive)


def run_folder(name: str, data: TrainingData, settings: TrainSettings) -> Path:
    """Return the folder of the run with this data and these settings."""
    identity = json.dumps([data.hashes, asdict(settings), version("torch")], sort_keys=True)
    return store.RUNS / f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def train(name: str, data: TrainingData, settings: TrainSettings) -> str:
    """Run everything, save the new version and return its tag; which one is in use does not change."""
    folder = run_folder(name, data, settings)
    folder.mkdir(parents=True, exist_ok=True)
    print(f"run {folder}: {len(data.paragraphs)} paragraphs, {len(data.phrases)} phrases")
    paragraphs, phrases = prepare(data.paragraphs, settings), prepare(data.phrases, settings)
    logits = out_of_fold_logits(paragraphs, phrases, settings, folder)
    examples = data.paragraphs
    decisions = decide_topics(data.topics, logits, examples.labels, examples.groups, settings.seed, examples.exclusive)
    print("final model: all paragraphs")
    network = fit_network(paragraphs.joined(phrases), settings, folder / "final")
    leave_other_processes()
    tag = ""
    if is_main_process():
        artifact = describe(name, data, settings, decisions, logits)
        tag = store.save(
            f"{name}:{artifact.version}", lambda target: write_artifact(target, artifact, network, data, logits)
        )
        print_figures(read_artifact(store.resolve(tag)).metrics)
        print(f"saved as {tag}")
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
        exclusive=data.paragraphs.exclusive,
        data=data.hashes,
        metrics=out_of_fold_metrics(data.paragraphs, decisions, logits),
        settings={"name": name, **asdict(settings)},
        libraries={library: version(library) for library in LIBRARIES},
    )


def out_of_fold_metrics(examples: Examples, decisions: Sequence[TopicDecision], logits: np.ndarray) -> dict[str, Any]:
    """Return the figures of each origin of paragraphs, out of fold: whole articles held out.

    Thresholds were fitted on the same predictions, so expect a little less on new text.
    """
    decided = decide(decisions, logits, examples.exclusive)
    figures = {}
    for origin in sorted(set(examples.origins)):
        places = examples.of_origin(origin)
        figures[f"{origin}, out of fold"] = measure(
            [topic.id for topic in decisions], examples.take(places), decided.take(places)
        )
    return figures


def measure_test(folder: Path, test: Examples) -> dict[str, Any]:
    """Return the figures of the artifact in `folder`, as it ships, on test texts."""
    tagger = Tagger(folder)
    decided = decide(tagger.artifact.topics, tagger.logits(tagger.encode(test.texts)), test.exclusive)
    return measure([topic.id for topic in tagger.artifact.topics], test, decided)


def _some_texts(texts: Sequence[str]) -> list[str]:
    chosen = np.random.default_rng(0).permutation(len(texts))[:N_SAMPLES]
    return [texts[place] for place in chosen]


def write_artifact(
    target: Path, artifact: Artifact, network: TopicNetwork, data: TrainingData, logits: np.ndarray
) -> None:
    """Write model, tokenizer, lexicon, description, out-of-fold logits and report into an empty folder."""
    tokenizer = tokenizer_of(artifact.base)
    texts = _some_texts(data.paragraphs.texts)
    export_onnx(network, target / MODEL_FILE, encode(tokenizer, texts, artifact.max_length))
    tokenizer.save(str(target / TOKENIZER_FILE))
    fit_lexicon(data.paragraphs.joined(data.phrases)).save(target / LEXICON_FILE)
    write_out_of_fold(target, data.paragraphs.ids, data.paragraphs.texts, logits)
    write_tagger_file(artifact, target)
    if data.test is not None:
        metrics = {**artifact.metrics, "test": measure_test(target, data.test)}
        write_tagger_file(replace(artifact, metrics=metrics), target)
    write_report(target, data.paragraphs, data.test, data.topics, target / REPORT_FOLDER)


def print_figures(metrics: dict[str, Any]) -> None:
    """Print the figures as small tables, one for each set of paragraphs."""
    for name, figures in metrics.items():
        low, high = figures["macro_f1_interval"]
        head = f"{name}: {figures['n_paragraphs']} paragraphs, macro F1 {figures['macro_f1']:.3f} (95% {low:.3f} to {high:.3f})"
        print(f"{head}, accuracy {figures['accuracy']:.3f}, unsure {figures['unsure_share']:.3f}")
        for topic, score in figures["topics"].items():
            cells = f"precision {score['precision']:.3f}  recall {score['recall']:.3f}  F1 {score['f1']:.3f}"
            print(f"  {topic:22s} n {score['n']:4d}  {cells}")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and train. Exit status 1 if the data is wrong."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description="Train a tagger.")
    add_flags(parser)
    options = parser.parse_args(arguments)
    try:
        tag = train(options.name, data_of(options), settings_of(options))
        if is_main_process():
            store.promote(tag)
            print(f"{tag} is in use")
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add what says what is trained, and how."""
    parser.add_argument("--topics", type=Path, default=DEFAULT_TOPICS)
    parser.add_argument("--annotations", type=Path, nargs="+", default=DEFAULT_FILES, help="annotation files")
    parser.add_argument("--test", type=Path, nargs="+", help="annotation files to report on; never trained on")
    parser.add_argument("--name", default=DEFAULT_NAME, help="lower-case name of the tagger in the model store")
    defaults = TrainSettings()
    for field in fields(TrainSettings):
        value = getattr(defaults, field.name)
        parser.add_argument(f"--{field.name}", type=type(value), default=value)


def data_of(options: argparse.Namespace) -> TrainingData:
    """Read the data that these flags name; raises as `read_data` does."""
    return read_data(options.topics, options.annotations, options.test)


def settings_of(options: argparse.Namespace) -> TrainSettings:
    """Return the settings that these flags give."""
    return TrainSettings(**{field.name: getattr(options, field.name) for field in fields(TrainSettings)})


if __name__ == "__main__":
    sys.exit(main())
