"""What new and corrected annotations bought: the model in use and the new one on these paragraphs alone.

The model in use has never seen them, or saw other labels; the new one answers out of fold,
by networks that saw nothing of the paragraph's article.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from data.annotations import Annotation
from models.artifact import read_artifact
from models.decisions import decide
from models.out_of_fold import kept_logits, read_out_of_fold
from models.tagger import Tagger
from training.examples import Examples
from training.unseen_logits import unseen_logits

MAX_LISTED = 50


@dataclass(frozen=True, eq=False)
class Corrected:
    """Both models' answers to the new and corrected paragraphs."""

    examples: Examples
    topics: tuple[str, ...]
    """The candidate's."""
    incumbent: np.ndarray
    """bool (paragraphs, topics); a topic that the incumbent does not know is never given."""
    candidate: np.ndarray


def find_corrected(annotations: Sequence[Annotation], incumbent: Path) -> list[str]:
    """Return the ids of annotations that the model in use was not trained on, or that were changed since."""
    artifact = read_artifact(incumbent)
    known = kept_logits(incumbent)
    # The day where the corrections are made, whose own days these are compared with.
    trained_on = datetime.fromisoformat(artifact.created).astimezone().date().isoformat()
    return [one.id for one in annotations if one.id not in known or _changed_since(one, trained_on)]


def _changed_since(annotation: Annotation, day: str) -> bool:
    """Whether its topics are others than they were on `day`, ISO 8601; what has no day counts as later."""
    before = [said.topics for said in annotation.history if said.when and said.when < day]
    first = before[-1] if before else annotation.history[0].topics if annotation.history else annotation.topics
    return set(first) != set(annotation.topics)


def answer_corrected(ids: Sequence[str], examples: Examples, incumbent: Path, candidate: Path) -> Corrected:
    """Let both models answer; `examples` are what the candidate was trained on, `ids` some of them."""
    wanted = set(ids)
    some = examples.take([place for place, example_id in enumerate(examples.ids) if example_id in wanted])
    new, old = read_artifact(candidate), read_artifact(incumbent)
    topics = tuple(topic.id for topic in new.topics)
    given = decide(new.topics, read_out_of_fold(candidate).logits_of(some.ids), new.exclusive).given
    logits = unseen_logits(incumbent, Tagger(incumbent), some.ids, some.texts)
    before = decide(old.topics, logits, old.exclusive).given
    known = [topic.id for topic in old.topics]
    columns = [before[:, known.index(topic)] if topic in known else np.zeros(len(some), bool) for topic in topics]
    return Corrected(some, topics, np.stack(columns, axis=1), given)


def corrections_section(found: Corrected) -> list[str]:
    """Return lines of Markdown: per topic what is right now and was not, and the paragraphs mended."""
    if not len(found.examples):
        return ["## New and corrected paragraphs\n", "None since the model in use was trained.\n"]
    truth = found.examples.labels > 0.5
    was, now = found.incumbent == truth, found.candidate == truth
    lines = [
        f"## {len(found.examples)} new and corrected paragraphs\n",
        "The model in use had not seen them, or saw other labels; the new one answers here out of fold.\n",
        "| topic | carry it | wrong before | mended | still wrong | newly wrong |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for column, topic in enumerate(found.topics):
        old, new = was[:, column], now[:, column]
        counts = (truth[:, column], ~old, ~old & new, ~old & ~new, old & ~new)
        lines.append(f"| `{topic}` | {' | '.join(str(int(count.sum())) for count in counts)} |")
    mended = np.flatnonzero(~was.all(axis=1) & now.all(axis=1))
    lines += ["", f"Wholly mended: {len(mended)} paragraphs of {int((~was.all(axis=1)).sum())} that were wrong.\n"]
    lines += [f"- {found.examples.ids[row]}: {found.examples.texts[row][:60]}" for row in mended[:MAX_LISTED]]
    return [*lines, ""] if len(mended) else lines
