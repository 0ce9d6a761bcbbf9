"""Write the paragraphs that are worth a person's minute into a file to be filled in.

    python -m training.review [--budget 50] [--out review.csv] [--model NAME]

They come from all articles in `seeds/` and from the annotation set. Nearly equal ones of
the test files are left out. `training.annotate` brings the answers back.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.annotations import DEFAULT_FILES, Annotation, load_annotation_files
from data.review.judgements import ReviewItem
from data.review.label_studio import labelling_config
from data.seed_paragraphs import SEEDS, SeedParagraph, read_seeds
from data.topics import DEFAULT_TOPICS, Topic, load_topics
from models import store
from models.artifact import Artifact
from models.decisions import Decisions, decide
from models.tagger import Tagger
from training.near_duplicates import near_duplicates, number_twins
from training.review_files import ENDINGS, refuse_unwritable, write_items
from training.selection import Candidates, Choice, select
from training.split_guard import load_test_texts
from training.text_features import describe_texts
from training.unseen_logits import unseen_logits
from training.whole_files import write_whole

BUDGET = 50
# Choices that are drawn are the same each time nothing has changed.
SEED = 13
# Nobody reads more in a minute, and a cell of Excel holds 32,767.
MAX_CHARACTERS = 3000
WHY = {
    "random": "random 随机抽取",
    "contradicted": "contradicted 标注与模型不一致",
    "unsure": "unsure 模型拿不准",
    "diverse": "diverse 与已有标注都不相像",
}


@dataclass(frozen=True)
class Pool:
    """All paragraphs that can be chosen, and what the model makes of them."""

    paragraphs: tuple[Annotation | SeedParagraph, ...]
    """Annotated ones, and those of the articles that are not."""
    decided: Decisions
    """Columns as the model's topics."""
    artifact: Artifact


def fill_pool(annotations: Sequence[Annotation], paragraphs: Sequence[SeedParagraph], folder: Path) -> Pool:
    """Ask the model in `folder`.

    Annotated paragraphs that it was trained on are judged by the networks of the
    cross-validation, which had not seen them.

    Raises:
        FileNotFoundError, ValueError: the model cannot be loaded.
    """
    known = {annotation.id for annotation in annotations}
    every: list[Annotation | SeedParagraph] = [*annotations]
    every += [paragraph for paragraph in paragraphs if paragraph.id not in known]
    several = [one for one in every if len(one.text) <= MAX_CHARACTERS]
    tested = {row for row, _ in near_duplicates([one.text for one in several], load_test_texts())}
    kept = [one for row, one in enumerate(several) if row not in tested]
    tagger = Tagger(folder)
    ids = [one.id if isinstance(one, Annotation) else None for one in kept]
    logits = unseen_logits(folder, tagger, ids, [one.text for one in kept])
    return Pool(tuple(kept), decide(tagger.artifact.topics, logits, tagger.artifact.exclusive), tagger.artifact)


def candidates_of(pool: Pool, topics: Sequence[Topic]) -> Candidates:
    """Return what `select` chooses from; topics that the model does not know play no part.

    An annotation that a person has looked at since the annotators is not asked again.
    """
    columns = {topic.id: column for column, topic in enumerate(pool.artifact.topics)}
    shared = [topic.id for topic in topics if topic.id in columns]
    places = [columns[topic] for topic in shared]
    texts = [paragraph.text for paragraph in pool.paragraphs]
    contradicted = np.zeros((len(texts), len(shared)), bool)
    for row, paragraph in enumerate(pool.paragraphs):
        if isinstance(paragraph, Annotation) and not paragraph.history:
            says = np.array([topic in paragraph.topics for topic in shared], bool)
            contradicted[row] = pool.decided.given[row, places] != says
    return Candidates(
        probabilities=pool.decided.probabilities[:, places],
        thresholds=np.array([pool.artifact.topics[place].threshold for place in places]),
        annotated=np.array([isinstance(paragraph, Annotation) for paragraph in pool.paragraphs], bool),
        contradicted=contradicted,
        features=describe_texts(texts),
        twins=number_twins(texts),
        exclusive=pool.artifact.exclusive,
    )


def items_of(pool: Pool, choices: Sequence[Choice], topics: Sequence[Topic]) -> list[ReviewItem]:
    """Return what is written of the chosen paragraphs."""
    known = {topic.id for topic in topics}
    items = []
    for choice in choices:
        paragraph = pool.paragraphs[choice.place]
        rows = zip(pool.artifact.topics, pool.decided.probabilities[choice.place], strict=True)
        scores = {topic.id: float(probability) for topic, probability in rows if topic.id in known}
        given = pool.decided.given[choice.place]
        suggested = {topic.id for topic, is_given in zip(pool.artifact.topics, given, strict=True) if is_given}
        items.append(
            ReviewItem(
                paragraph.id,
                paragraph.text,
                WHY[choice.reason],
                paragraph.topics if isinstance(paragraph, Annotation) else None,
                tuple(topic.id for topic in topics if topic.id in suggested),
                scores,
            )
        )
    return items


def main(arguments: list[str] | None = None) -> int:
    """Choose and write. Exit status 1 if something is wrong; what could not be read does not stop the rest."""
    parser = argparse.ArgumentParser(prog="python -m training.review", description="Choose paragraphs to look at.")
    parser.add_argument("--budget", type=int, default=BUDGET, help="how many paragraphs at most")
    parser.add_argument(
        "--out", type=Path, default=Path("review.csv"), help=f"the file: {', '.join(ENDINGS)} by its ending"
    )
    parser.add_argument("--model", help="released, a tag of the model store, or a folder; default: the one in use")
    parser.add_argument("--annotations", type=Path, nargs="+", default=DEFAULT_FILES)
    parser.add_argument("--topics", type=Path, default=DEFAULT_TOPICS)
    parser.add_argument("--seeds", type=Path, default=SEEDS, help="the folder of the articles")
    options = parser.parse_args(arguments)
    try:
        refuse_unwritable(options.out)
        topics = load_topics(options.topics)
        paragraphs, problems = read_seeds(options.seeds)
        annotations = load_annotation_files(options.annotations, topics)
        pool = fill_pool(annotations, paragraphs, store.resolve(options.model or store.current_name()))
        candidates = candidates_of(pool, topics)
        choices = select(candidates, options.budget, SEED)
        write_items(items_of(pool, choices, topics), topics, options.out, pool.artifact.version)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{(~candidates.annotated).sum()} paragraphs not annotated yet, {candidates.annotated.sum()} annotated")
    print(", ".join(f"{n} {reason}" for reason, n in Counter(choice.reason for choice in choices).items()))
    print(f"{len(choices)} paragraphs written to {options.out}")
    if options.out.suffix.lower() == ".json":
        config = options.out.with_suffix(".xml")
        write_whole(config, labelling_config(topics))
        print(f"labelling configuration for the project in Label Studio written to {config}")
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
