"""What choosing paragraphs buys: the loop of review and training, with labels that are known already.

    python -m training.simulate_selection [--seeds 5] [--rounds 10]

Starts from the phrases and a few paragraphs by one writer, adds labels round by round,
those that `training.selection` chooses or random ones, trains on the frozen encoder and
scores writers that are held out. Finished rounds are kept in `models/runs`; started again,
it goes on with the rest. Table and picture go to `report/`.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from tqdm import tqdm

from data.annotations import DEFAULT_FILES
from data.topics import DEFAULT_TOPICS
from models import store
from models.artifact import TopicDecision
from models.decisions import decide
from models.network import UNKNOWN
from training.calibrate import decide_topics
from training.examples import split_by_group
from training.fine_tune import Prepared, prepare
from training.frozen import logits_on_frozen
from training.metrics import macro_f1
from training.near_duplicates import number_twins
from training.pictures import draw_selection
from training.selection import Candidates, select
from training.settings import TrainSettings
from training.text_features import describe_texts
from training.train import TrainingData, read_data
from training.whole_files import write_whole

REPORT = store.MODELS.parent / "report"
N_START = N_NEXT = 50
N_SEEDS, N_ROUNDS = 5, 10
# Of the writers, this part is held out; seed articles can all be chosen.
HELD_OUT_SHARE = 0.25

Method = Literal["review", "random"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True, eq=False)
class World:
    """All paragraphs with their labels, and what is computed of them once."""

    data: TrainingData
    settings: TrainSettings
    everything: Prepared
    phrases: Prepared
    features: np.ndarray
    twins: np.ndarray


@dataclass(frozen=True, eq=False)
class Split:
    """Places of the paragraphs, of one seed."""

    start: np.ndarray
    """Labelled from the beginning, by one writer."""
    pool: np.ndarray
    """All that can ever be labelled, the start included."""
    held_out: np.ndarray


def look_around(data: TrainingData, settings: TrainSettings) -> World:
    """Compute what every round needs."""
    texts = data.paragraphs.texts
    everything, phrases = prepare(data.paragraphs, settings), prepare(data.phrases, settings)
    return World(data, settings, everything, phrases, describe_texts(texts), number_twins(texts))


def split(world: World, seed: int) -> Split:
    """Hold out some writers, and let another one write what is labelled first."""
    examples, rng = world.everything.examples, np.random.default_rng(seed)
    groups, is_written = np.array(examples.groups), np.array(examples.origins) == "written"
    writers = rng.permutation(np.unique(groups[is_written]))
    n_held_out = max(1, round(HELD_OUT_SHARE * len(writers)))
    held_out = np.isin(groups, writers[:n_held_out])
    start = rng.permutation(np.flatnonzero(groups == writers[n_held_out]))[:N_START]
    return Split(start, np.flatnonzero(~held_out), np.flatnonzero(held_out))


def run(world: World, method: Method, seed: int, n_rounds: int, folder: Path) -> None:
    """Take macro F1 on the held-out writers, first with the start alone and then after each round.

    Scores and choices are kept in `folder`; rounds that stand there are not done again.
    """
    kept = _kept(folder, seed, method)
    here = split(world, seed)
    labelled = here.start
    for number in range(n_rounds + 1):
        if number < len(kept["macro_f1"]):
            labelled = np.concatenate([labelled, np.array(kept["chosen"][number], int)])
            continue
        score, chosen = _round(world, method, here, labelled, seed * 1000 + number)
        kept = {"chosen": [*kept["chosen"], chosen], "macro_f1": [*kept["macro_f1"], score]}
        write_whole(_path(folder, seed, method), json.dumps(kept))
        labelled = np.concatenate([labelled, np.array(chosen, int)])


def _path(folder: Path, seed: int, method: Method) -> Path:
    return folder / f"{method}-{seed}.json"


def _kept(folder: Path, seed: int, method: Method) -> dict[str, list[Any]]:
    """Return the places chosen in each finished round, and the scores before they were labelled."""
    path = _path(folder, seed, method)
    found: dict[str, list[Any]] = {"chosen": [], "macro_f1": []}
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
    return found


def _round(world: World, method: Method, here: Split, labelled: np.ndarray, seed: int) -> tuple[float, list[int]]:
    """Train on what is labelled; return the score and the places to label next."""
    known = _judged(world.everything.take(labelled))
    decisions = _fit_decisions(world, known)
    rest = np.setdiff1d(here.pool, labelled)
    scored = [world.everything.take(here.held_out)]
    if method == "review":
        scored.append(world.everything.take(rest))
    logits = logits_on_frozen(known.joined(world.phrases), scored, world.settings)
    score = macro_f1(scored[0].examples.labels, decide(decisions, logits[0]).given)
    if method == "random":
        return score, np.random.default_rng(seed).permutation(rest)[:N_NEXT].tolist()
    return score, _choose(world, decisions, labelled, rest, logits[1], seed)


def _judged(known: Prepared) -> Prepared:
    """Return the examples as they would be if nobody knew more: a topic that none carries was not judged."""
    labels = known.examples.labels.copy()
    labels[:, ~(labels > 0.5).any(axis=0)] = UNKNOWN
    return replace(known, examples=replace(known.examples, labels=labels))


def _fit_decisions(world: World, known: Prepared) -> tuple[TopicDecision, ...]:
    """Fit thresholds out of fold. Single paragraphs are held out: the start has one writer only."""
    examples = replace(known.examples, groups=known.examples.ids)
    logits = np.empty(examples.labels.shape, np.float32)
    for train, held_out in split_by_group(examples, world.settings.n_folds, world.settings.seed):
        part = _judged(known.take(train)).joined(world.phrases)
        (logits[held_out],) = logits_on_frozen(part, [known.take(held_out)], world.settings)
    return decide_topics(world.data.topics, logits, examples.labels, examples.groups, world.settings.seed)


def _choose(
    world: World,
    decisions: tuple[TopicDecision, ...],
    labelled: np.ndarray,
    rest: np.ndarray,
    logits: np.ndarray,
    seed: int,
) -> list[int]:
    """Choose as `make review` does; labels are right here, so no annotation is contradicted."""
    places = np.concatenate([labelled, rest])
    annotated = np.arange(len(places)) < len(labelled)
    probabilities = np.zeros((len(places), len(decisions)))
    probabilities[~annotated] = decide(decisions, logits).probabilities
    candidates = Candidates(
        probabilities=probabilities,
        thresholds=np.array([topic.threshold for topic in decisions]),
        annotated=annotated,
        contradicted=np.zeros(probabilities.shape, bool),
        features=world.features[places],
        twins=world.twins[places],
    )
    return [int(places[choice.place]) for choice in select(candidates, N_NEXT, seed)]


def simulate(data: TrainingData, settings: TrainSettings, n_seeds: int, n_rounds: int) -> dict[str, np.ndarray]:
    """Run what has not run yet; return macro F1 of each method, (seeds, rounds + 1)."""
    identity = json.dumps([data.hashes, asdict(settings), _own_code()], sort_keys=True)
    folder = store.RUNS / f"selection-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    everything = [(seed, method) for seed in range(n_seeds) for method in METHODS]
    jobs = [job for job in everything if len(_kept(folder, *job)["macro_f1"]) <= n_rounds]
    if jobs:
        world = look_around(data, settings)
        for seed, method in tqdm(jobs, desc="selection", unit="run"):
            run(world, method, seed, n_rounds, folder)
    return {
        method: np.array([_kept(folder, seed, method)["macro_f1"][: n_rounds + 1] for seed in range(n_seeds)])
        for method in METHODS
    }


def _own_code() -> str:
    """Return what changes when paragraphs are chosen otherwise: kept rounds of another choice do not count."""
    files = [Path(__file__).with_name(name) for name in ("selection.py", "text_features.py")]
    return "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)


def table_of(scores: dict[str, np.ndarray]) -> str:
    """Return a Markdown table of the scores, mean and standard deviation over the seeds, and the verdict."""
    gains = scores["review"] - scores["random"]
    lines = [
        f"Macro F1 on held-out writers, frozen encoder, mean and standard deviation over {len(gains)} seeds.\n",
        "| labels | chosen by `make review` | random | difference |",
        "| --- | --- | --- | --- |",
    ]
    for column in range(gains.shape[1]):
        cells = [f"{scores[m][:, column].mean():.3f} ± {scores[m][:, column].std():.3f}" for m in METHODS]
        gain = gains[:, column].mean()
        lines.append(f"| {N_START + column * N_NEXT} | {cells[0]} | {cells[1]} | {gain:+.3f} |")
    means = gains[:, 1:].mean(axis=1)
    verdict = f"Over all rounds chosen labels are worth {means.mean():+.3f}; more than random ones with {(means > 0).sum()} of {len(means)} seeds."
    return "\n".join([*lines, "", verdict, ""])


def main(arguments: list[str] | None = None) -> int:
    """Simulate and write table and picture. Exit status 1 if the data is wrong."""
    parser = argparse.ArgumentParser(prog="python -m training.simulate_selection", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=N_SEEDS)
    parser.add_argument("--rounds", type=int, default=N_ROUNDS)
    options = parser.parse_args(arguments)
    try:
        data = read_data(DEFAULT_TOPICS, DEFAULT_FILES)
        scores = simulate(data, TrainSettings(), options.seeds, options.rounds)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on with the rest", file=sys.stderr)
        return 130
    REPORT.mkdir(parents=True, exist_ok=True)
    labels = [N_START + number * N_NEXT for number in range(options.rounds + 1)]
    draw_selection(REPORT / "selection.png", labels, scores)
    write_whole(REPORT / "selection.md", table_of(scores))
    print(table_of(scores))
    return 0


if __name__ == "__main__":
    sys.exit(main())
