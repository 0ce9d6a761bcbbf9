"""Compare recipes at several seeds in a table: what is worth its keep, and what is not.

    python -m training.compare

Each seed holds out another third of the articles and writers, so the spread is over both.
Finished runs are kept in `models/runs`; started again, it goes on with the rest. The table
goes to `report/`; what was decided by earlier ones stands in `COMPARISON.md`.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score
from tqdm import tqdm

from data.annotations import DEFAULT_FILES
from data.topics import DEFAULT_TOPICS
from models import store
from models.decisions import decide
from training.calibrate import decide_topics
from training.examples import split_by_group
from training.fine_tune import Prepared, prepare
from training.metrics import macro_f1
from training.recipes import RECIPES, Task
from training.settings import TrainSettings
from training.train import TrainingData, read_data
from training.whole_files import write_whole

SEEDS = (1, 2, 3)
TABLE = store.MODELS.parent / "report" / "comparison.md"
ORIGINS = ("seed", "written")


def compare(data: TrainingData, settings: TrainSettings, names: Sequence[str]) -> str:
    """Run what has not run yet and return the table as Markdown."""
    identity = json.dumps([data.hashes, asdict(settings)], sort_keys=True)
    folder = store.RUNS / f"compare-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(seed, name) for seed in SEEDS for name in names if not (folder / f"{name}-{seed}.json").exists()]
    if jobs:
        everything, phrases = prepare(data.paragraphs, settings), prepare(data.phrases, settings)
        folds = split_by_group(everything.examples, len(SEEDS), settings.seed)
        for seed, name in tqdm(jobs, desc="compare", unit="run"):
            train, held_out = folds[SEEDS.index(seed)]
            known, validation = everything.take(train), everything.take(held_out)
            task = Task(known, phrases, validation, data.topics, replace(settings, seed=seed))
            result = score(task.validation, RECIPES[name](task), task)
            write_whole(folder / f"{name}-{seed}.json", json.dumps(result))
    return _table(folder, names)


def score(validation: Prepared, logits: np.ndarray, task: Task) -> dict[str, float]:
    """Return macro F1, thresholds fitted on these predictions, and mean average precision, of each origin."""
    examples = validation.examples
    decisions = decide_topics(task.topics, logits, examples.labels, examples.groups, task.settings.seed)
    given = decide(decisions, logits).given
    result = {}
    for origin in ORIGINS:
        places = examples.of_origin(origin)
        labels = examples.labels[places]
        present = np.flatnonzero((labels > 0.5).any(axis=0))
        result[f"{origin} F1"] = macro_f1(labels[:, present], given[places][:, present])
        ranked = [average_precision_score(labels[:, column], logits[places, column]) for column in present]
        result[f"{origin} AP"] = float(np.mean(ranked))
    return result


def _table(folder: Path, names: Sequence[str]) -> str:
    columns = [f"{origin} {figure}" for origin in ORIGINS for figure in ("F1", "AP")]
    lines = [
        "# Recipes compared\n",
        f"`make compare`, run `{folder.name}`: mean and standard deviation over {len(SEEDS)} seeds, each holding out "
        "another third of the articles and writers. F1 is macro F1 with thresholds fitted on the same predictions, AP "
        "the mean average precision, which needs none.\n",
        f"| recipe | what it is | {' | '.join(columns)} |",
        f"| --- | --- |{' --- |' * len(columns)}",
    ]
    for name in names:
        runs = [json.loads((folder / f"{name}-{seed}.json").read_text(encoding="utf-8")) for seed in SEEDS]
        cells = [f"{np.mean([run[c] for run in runs]):.3f} ± {np.std([run[c] for run in runs]):.3f}" for c in columns]
        what = (RECIPES[name].__doc__ or "").strip().split("\n")[0]
        lines.append(f"| `{name}` | {what} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main(arguments: list[str] | None = None) -> int:
    """Compare and write the table. Exit status 1 if the data is wrong."""
    parser = argparse.ArgumentParser(prog="python -m training.compare", description="Compare recipes.")
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    options = parser.parse_args(arguments)
    try:
        table = compare(read_data(DEFAULT_TOPICS, DEFAULT_FILES), TrainSettings(), options.recipes)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on with the rest", file=sys.stderr)
        return 130
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    write_whole(TABLE, table)
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
