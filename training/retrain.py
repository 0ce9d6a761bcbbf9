"""New and corrected annotations to a new model, which takes the place of the one in use if it is no worse.

    python -m training.retrain [the flags of training.train]

Trains a candidate, lets it and the model in use answer the same held-out paragraphs
(`training.promotion`), writes `report/retrain.md`, and promotes the candidate in one atomic
step, or keeps the model in use and says why. Stopped at any point, the same command goes on
where it was. Exit status: 0 the new model is in use, or there is nothing new; 1 the data is
wrong; 2 the model in use stays; 130 interrupted.
"""

import argparse
import sys
from pathlib import Path

from models import store
from models.artifact import Artifact, read_artifact
from training.corrections_report import answer_corrected, corrections_section, find_corrected
from training.evaluate import DEFAULT_REPORT
from training.promotion import MACRO_MARGIN, TOPIC_MARGIN, Comparison, collect_answers, compare, reasons_to_keep
from training.settings import TrainSettings
from training.train import TrainingData, add_flags, data_of, run_folder, settings_of, train
from training.whole_files import write_whole

KEPT = 2
REPORT_FILE = "retrain.md"


def train_candidate(name: str, data: TrainingData, settings: TrainSettings) -> str:
    """Train on this data and return the tag of the saved version; or that of an earlier run which got so far."""
    note = run_folder(name, data, settings) / "candidate"
    try:
        tag = note.read_text(encoding="utf-8")
        store.resolve(tag)
    except FileNotFoundError:
        tag = train(name, data, settings)
        write_whole(note, tag)
    else:
        print(f"{tag} was trained on this data by an earlier run")
    return tag


def is_trained_on(artifact: Artifact, data: TrainingData, settings: TrainSettings) -> bool:
    """Whether a model comes of this very data and these settings."""
    same = {key: value for key, value in artifact.settings.items() if key != "name"} == vars(settings)
    return artifact.data == data.hashes and same


def write_report(out: Path, incumbent: Path, candidate: Path, data: TrainingData) -> list[str]:
    """Compare the two models, write the report to the folder `out`; return why the incumbent stays, if it does."""
    found = [compare(answers) for answers in collect_answers(incumbent, candidate, data.paragraphs, data.test)]
    reasons = reasons_to_keep(found)
    old, new = (read_artifact(folder).version for folder in (incumbent, candidate))
    lines = [f"# {new} beside {old}, which is in use\n", *_verdict(old, new, reasons)]
    for comparison in found:
        lines += _table(comparison, old, new)
    corrected = find_corrected(data.annotations, incumbent)
    lines += corrections_section(answer_corrected(corrected, data.paragraphs, incumbent, candidate))
    text = "\n".join(lines)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / REPORT_FILE, text)
    print(text)
    return reasons


def _verdict(old: str, new: str, reasons: list[str]) -> list[str]:
    rule = (
        f"Macro F1 may fall by {MACRO_MARGIN}, that of a topic by {TOPIC_MARGIN}; the median of a paired bootstrap "
        "over articles counts (over paragraphs where there are fewer than ten articles).\n"
    )
    if not reasons:
        return [f"{new} takes the place of {old}. {rule}"]
    return [f"{old} stays in use. {rule}", *(f"- {reason}" for reason in reasons), ""]


def _table(found: Comparison, old: str, new: str) -> list[str]:
    low, high = found.interval
    gain = found.macro_f1[1] - found.macro_f1[0]
    lines = [
        f"## {found.name.capitalize()}\n",
        f"{found.n_paragraphs} paragraphs of {found.n_articles} articles or writers. Macro F1 {found.macro_f1[0]:.3f} to "
        f"{found.macro_f1[1]:.3f}: {gain:+.3f} (95% {low:+.3f} to {high:+.3f}).\n",
        f"| F1 | {old} | {new} | gain |",
        "| --- | --- | --- | --- |",
    ]
    for topic, (before, after) in found.topics.items():
        lines.append(f"| `{topic}` | {before:.3f} | {after:.3f} | {after - before:+.3f} |")
    return [*lines, ""]


def retrain(name: str, data: TrainingData, settings: TrainSettings, out: Path) -> bool:
    """Train, compare, promote; return whether the model trained on this data is in use then."""
    in_use = store.current_name()
    incumbent = store.resolve(in_use)
    if is_trained_on(read_artifact(incumbent), data, settings):
        print(f"{in_use} was trained on this very data; nothing to do")
        return True
    candidate = train_candidate(name, data, settings)
    reasons = write_report(out, incumbent, store.resolve(candidate), data)
    if reasons:
        print(f"{in_use} stays in use; {candidate} is stored, see 'make models' and {out / REPORT_FILE}")
        return False
    store.promote(candidate)
    print(f"{candidate} is in use; 'make rollback' goes back to {in_use}")
    return True


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and retrain; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.retrain", description="Retrain, and promote if no worse.")
    add_flags(parser)
    parser.add_argument("--out", type=Path, default=DEFAULT_REPORT, help="folder of the report")
    options = parser.parse_args(arguments)
    try:
        promoted = retrain(options.name, data_of(options), settings_of(options), options.out)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the model in use is as it was, and the same command goes on", file=sys.stderr)
        return 130
    return 0 if promoted else KEPT


if __name__ == "__main__":
    sys.exit(main())
