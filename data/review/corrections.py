"""What a reviewed file changes in the annotation set, and what stands against it.

Each row stands by itself: wrong and conflicting ones are told and left out, the others
count. The same file may be given again once the rest is settled; what was taken over
before changes nothing then.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from data.annotations import Annotation, Said
from data.review.judgements import Judgement, TopicNames, is_same_text
from data.seed_paragraphs import SeedParagraph

# Who made the annotations that say nothing of it.
ANNOTATORS = "annotators"


@dataclass
class Corrections:
    """What follows from the judgements; annotations by id."""

    changed: dict[str, Annotation] = field(default_factory=dict)
    """Annotations that say something else now."""
    confirmed: dict[str, Annotation] = field(default_factory=dict)
    """Annotations that somebody looked at and found right."""
    added: dict[str, Annotation] = field(default_factory=dict)
    same: int = 0
    """Paragraphs that say so already."""
    unfilled: int = 0
    problems: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


class Settling:
    """Settles judgements with an annotation set."""

    def __init__(
        self,
        annotations: Sequence[Annotation],
        paragraphs: Sequence[SeedParagraph],
        names: TopicNames,
        by: str,
        when: str,
    ) -> None:
        """Take what is known.

        Args:
            annotations: the whole set, without contradiction.
            paragraphs: of the articles; those not annotated yet can be.
            names: how topics are written in messages.
            by: who judged.
            when: the day, ISO 8601.
        """
        self._annotations = {annotation.id: annotation for annotation in annotations}
        self._paragraphs = {paragraph.id: paragraph for paragraph in paragraphs}
        self._names = names
        self._by, self._when = by, when

    def settle(self, judgements: Sequence[Judgement]) -> Corrections:
        """Return what the judgements change; nothing is written."""
        found = Corrections()
        of_paragraph: dict[str, list[Judgement]] = defaultdict(list)
        for judgement in judgements:
            if judgement.topics is None:
                found.unfilled += 1
            else:
                of_paragraph[judgement.id].append(judgement)
        for same in of_paragraph.values():
            self._take(same, found)
        self._drop_contradictions(found)
        return found

    def _take(self, same: list[Judgement], found: Corrections) -> None:
        """Take the judgements on one paragraph."""
        first = same[0]
        known = self._annotations.get(first.id)
        target = known or self._paragraphs.get(first.id)
        for judgement in same:
            problem = _problem(judgement, target)
            if problem:
                found.problems.append(f"{judgement.where}: {problem}")
                return
        if len({judgement.topics for judgement in same}) > 1:
            sides = "; ".join(f"{one.where} says {self._names.write(one.topics)}" for one in same)
            found.conflicts.append(f"'{first.id}': {sides}; keep one of them")
        elif known is not None:
            self._take_known(first, known, found)
        elif first.annotated is not None:
            found.conflicts.append(
                f"{first.where}: '{first.id}' was annotated {self._names.write(first.annotated)} when the file was written "
                "and is not annotated now; empty its column 'annotated' and give the file again to annotate it anew"
            )
        elif isinstance(target, SeedParagraph):
            found.added[first.id] = self._new(first, target)

    def _take_known(self, judgement: Judgement, known: Annotation, found: Corrections) -> None:
        topics = judgement.topics or ()
        if known.topics == topics:
            # Who says a second time what a person said says nothing new.
            if judgement.annotated != topics or known.history:
                found.same += 1
            else:
                found.confirmed[known.id] = self._said_anew(known, judgement)
        elif judgement.annotated != known.topics:
            now, then = self._names.write(known.topics), self._names.write(judgement.annotated) or "nothing"
            found.conflicts.append(
                f"{judgement.where}: '{known.id}' is annotated {now} now and was {then} when the file was written; "
                f"the row says {self._names.write(topics)}; to replace it nonetheless write {now} into "
                "column 'annotated' and give the file again"
            )
        else:
            found.changed[known.id] = self._said_anew(known, judgement)

    def _said_anew(self, known: Annotation, judgement: Judgement) -> Annotation:
        topics = judgement.topics or ()
        before = known.history or (Said(known.topics, ANNOTATORS),)
        said = Said(topics, self._by, self._when, judgement.note)
        n_annotators = known.annotators + (self._by not in {one.by for one in known.history})
        return replace(known, topics=topics, history=(*before, said), annotators=n_annotators)

    def _new(self, judgement: Judgement, paragraph: SeedParagraph) -> Annotation:
        topics = judgement.topics or ()
        return Annotation(
            paragraph.id,
            paragraph.source,
            paragraph.article,
            paragraph.index,
            paragraph.text,
            topics,
            annotators=1,
            agreed=True,
            origin="seed",
            spans=paragraph.spans,
            history=(Said(topics, self._by, self._when, judgement.note),),
        )

    def _drop_contradictions(self, found: Corrections) -> None:
        """Take out what would give one text different topics in two places."""
        state: Mapping[str, Annotation] = {**self._annotations, **found.changed, **found.added}
        of_text: dict[str, list[Annotation]] = defaultdict(list)
        for annotation in state.values():
            of_text[annotation.text].append(annotation)
        for same in of_text.values():
            if len({annotation.topics for annotation in same}) == 1:
                continue
            sides = "; ".join(f"'{one.id}' would say {self._names.write(one.topics)}" for one in same)
            found.conflicts.append(f"the same text stands in several places: {sides}; add rows that give all the same")
            for annotation in same:
                found.changed.pop(annotation.id, None)
                found.added.pop(annotation.id, None)


def _problem(judgement: Judgement, target: Annotation | SeedParagraph | None) -> str:
    if target is None:
        return (
            f"column 'id': no paragraph '{judgement.id}' in the annotation set or in the articles; "
            "put back the id, or the article's file"
        )
    if not is_same_text(judgement.text, target.text):
        return (
            f"column 'text': it is not the text of '{target.id}', which begins {target.text[:20]!r}; put it back, "
            "as articles are never edited"
        )
    return ""
