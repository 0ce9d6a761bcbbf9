from dataclasses import replace

import pytest

from data.annotations import Annotation, Said
from data.review.corrections import Corrections, Settling
from data.review.judgements import Judgement, TopicNames
from data.seed_paragraphs import SeedParagraph
from data.topics import load_topics

NAMES = TopicNames(load_topics())
PARTY, SHOP, FARM = ("party_building",), ("e_commerce",), ("rural_revitalization",)


def known(number: int, topics: tuple[str, ...], text: str = "", **more: object) -> Annotation:
    one = Annotation(f"a#{number}", "a", "a#1", number, text or f"第{number}段的文字。", topics, 2, True, "seed")
    return replace(one, **more)  # type: ignore[arg-type]


def fresh(number: int, text: str = "") -> SeedParagraph:
    return SeedParagraph(f"b#{number}", "b", "b#1", number, text or f"新的第{number}段。", ((0, 3),))


def says(target: Annotation | SeedParagraph, topics: tuple[str, ...] | None, **changes: object) -> Judgement:
    annotated = target.topics if isinstance(target, Annotation) else None
    one = Judgement(f"row of {target.id}", target.id, target.text, annotated, topics)
    return replace(one, **changes)  # type: ignore[arg-type]


ANNOTATIONS = [known(0, PARTY), known(1, SHOP), known(2, ())]
PARAGRAPHS = [fresh(0), fresh(1)]


def settle(*judgements: Judgement, annotations: list[Annotation] | None = None) -> Corrections:
    settling = Settling(annotations or ANNOTATIONS, PARAGRAPHS, NAMES, "李敏", "2026-11-22")
    return settling.settle(judgements)


def test_a_correction_keeps_what_was_said_before() -> None:
    found = settle(says(ANNOTATIONS[0], SHOP, note="卖货"))
    assert found.changed["a#0"].topics == SHOP
    assert found.changed["a#0"].annotators == 3
    assert found.changed["a#0"].history == (
        Said(PARTY, "annotators"),
        Said(SHOP, "李敏", "2026-11-22", "卖货"),
    )
    again = settle(says(found.changed["a#0"], FARM), annotations=[found.changed["a#0"]])
    assert [said.topics for said in again.changed["a#0"].history] == [PARTY, SHOP, FARM]
    assert again.changed["a#0"].annotators == 3


def test_a_new_paragraph_gets_the_place_it_has_in_its_article() -> None:
    found = settle(says(PARAGRAPHS[1], ()))
    one = found.added["b#1"]
    assert (one.source, one.article, one.index, one.spans, one.text) == ("b", "b#1", 1, ((0, 3),), PARAGRAPHS[1].text)
    assert (one.topics, one.origin, one.annotators, one.history[0].by) == ((), "seed", 1, "李敏")


def test_an_empty_row_changes_nothing_and_is_counted() -> None:
    found = settle(says(ANNOTATIONS[0], None), says(PARAGRAPHS[0], None))
    assert found == Corrections(unfilled=2)


def test_no_topic_is_an_answer() -> None:
    assert settle(says(ANNOTATIONS[0], ())).changed["a#0"].topics == ()


def test_who_finds_an_annotation_right_is_kept_once() -> None:
    found = settle(says(ANNOTATIONS[0], PARTY))
    assert [said.by for said in found.confirmed["a#0"].history] == ["annotators", "李敏"]
    assert not found.changed
    again = settle(says(found.confirmed["a#0"], PARTY), annotations=[found.confirmed["a#0"]])
    assert again == Corrections(same=1)


def test_the_same_answers_again_change_nothing() -> None:
    rows = (says(ANNOTATIONS[0], SHOP), says(PARAGRAPHS[0], PARTY), says(ANNOTATIONS[2], ()))
    first = settle(*rows)
    after = [first.changed["a#0"], ANNOTATIONS[1], first.confirmed["a#2"], first.added["b#0"]]
    assert settle(*rows, annotations=after) == Corrections(same=3)


def test_an_annotation_that_changed_since_is_not_overwritten() -> None:
    now = replace(ANNOTATIONS[0], topics=FARM)
    row = says(ANNOTATIONS[0], SHOP)
    found = settle(row, says(PARAGRAPHS[0], PARTY), annotations=[now])
    assert not found.changed and list(found.added) == ["b#0"]
    (conflict,) = found.conflicts
    assert "'a#0' is annotated 乡村振兴 now and was 党建 when the file was written; the row says 电商" in conflict
    assert "write 乡村振兴 into column 'annotated'" in conflict
    assert settle(replace(row, annotated=FARM), annotations=[now]).changed["a#0"].topics == SHOP


def test_somebody_annotated_a_new_paragraph_in_the_meantime() -> None:
    now = known(0, PARTY, text=PARAGRAPHS[0].text, id="b#0")
    found = settle(says(PARAGRAPHS[0], SHOP), annotations=[now])
    assert not found.added and "was nothing when the file was written" in found.conflicts[0]


def test_an_annotation_that_was_removed_since_is_a_conflict() -> None:
    found = settle(says(PARAGRAPHS[0], SHOP, annotated=PARTY))
    assert not found.added and "is not annotated now" in found.conflicts[0]


def test_rows_that_contradict_each_other_are_a_conflict_and_equal_ones_are_not() -> None:
    one, other = says(ANNOTATIONS[0], SHOP, where="row 2"), says(ANNOTATIONS[0], FARM, where="row 9")
    found = settle(one, other)
    assert not found.changed
    assert found.conflicts == ["'a#0': row 2 says 电商; row 9 says 乡村振兴; keep one of them"]
    assert settle(one, replace(one, where="row 9")).changed["a#0"].topics == SHOP


def test_one_text_does_not_get_two_answers() -> None:
    twins = [known(0, PARTY), known(5, PARTY, text=ANNOTATIONS[0].text), known(1, ())]
    found = settle(says(twins[0], SHOP), says(twins[2], SHOP), annotations=twins)
    assert list(found.changed) == ["a#1"]
    assert "'a#0' would say 电商; 'a#5' would say 党建" in found.conflicts[0]
    both = settle(says(twins[0], SHOP), says(twins[1], SHOP), annotations=twins)
    assert {one.topics for one in both.changed.values()} == {SHOP} and not both.conflicts


def test_a_new_paragraph_whose_text_is_annotated_otherwise_is_a_conflict() -> None:
    twin = known(0, PARTY, text=PARAGRAPHS[0].text)
    found = settle(says(PARAGRAPHS[0], SHOP), annotations=[twin])
    assert not found.added and len(found.conflicts) == 1
    assert settle(says(PARAGRAPHS[0], PARTY), annotations=[twin]).added["b#0"].topics == PARTY


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": "改动过的文字"}, "row of a#0: column 'text': it is not the text of 'a#0'"),
        ({"id": "a#77"}, "row of a#0: column 'id': no paragraph 'a#77'"),
        ({"id": "../../etc/passwd#0"}, "no paragraph"),
    ],
)
def test_what_was_edited_by_accident_is_refused(changes: dict[str, str], message: str) -> None:
    found = settle(says(ANNOTATIONS[0], SHOP, **changes), says(ANNOTATIONS[1], FARM))
    assert list(found.changed) == ["a#1"]
    assert len(found.problems) == 1 and message in found.problems[0]
