"""Training examples: labels, and articles that never stand on both sides of a split."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from data.annotations import (
    DEFAULT_ANNOTATIONS,
    DEFAULT_FILES,
    Annotation,
    Said,
    load_annotation_files,
    load_annotations,
)
from data.topics import Topic, load_topics
from models.network import UNKNOWN
from training.examples import Examples, from_annotations, from_phrases, labels_of, split_by_group

TOPICS = load_topics()


def shipped() -> Examples:
    return from_annotations(load_annotation_files(DEFAULT_FILES, TOPICS), TOPICS)


def test_labels_follow_the_topics() -> None:
    annotations = load_annotations(DEFAULT_ANNOTATIONS, TOPICS)
    examples = from_annotations(annotations, TOPICS)
    for annotation, row in zip(annotations, examples.labels, strict=True):
        assert tuple(topic.id for topic, value in zip(TOPICS, row, strict=True) if value) == annotation.topics


def test_phrases_carry_their_own_topic_only() -> None:
    examples = from_phrases(TOPICS)
    assert len(examples) == sum(2 + len(topic.phrases) for topic in TOPICS)
    assert (examples.labels.sum(axis=1) == 1).all()
    place = examples.texts.index(TOPICS[2].phrases[0])
    assert examples.labels[place, 2] == 1


def test_a_topics_phrases_count_as_three_texts_at_least() -> None:
    topics = [replace(TOPICS[0], phrases=()), TOPICS[1]]
    paragraph = from_phrases(topics).take([0])
    paragraph = replace(paragraph, origins=("seed",))
    weights = paragraph.joined(from_phrases(topics)).weights()
    assert len(TOPICS[1].phrases) > 3
    # Name and definition of the first topic; the second has more of them than three.
    assert weights.tolist() == [1.0, 1.5, 1.5, *[1.0] * (2 + len(TOPICS[1].phrases))]


def test_no_article_or_writer_stands_on_both_sides() -> None:
    examples = shipped()
    folds = split_by_group(examples, 3, seed=13)
    assert sorted(np.concatenate([held_out for _, held_out in folds])) == list(range(len(examples)))
    for train, held_out in folds:
        assert not set(examples.take(train).groups) & set(examples.take(held_out).groups)
        assert not set(examples.take(train).texts) & set(examples.take(held_out).texts)


def test_where_articles_are_too_few_each_text_is_its_own_group() -> None:
    examples = shipped().take(range(6))
    assert len(set(examples.groups)) < 3
    folds = split_by_group(examples, 3, seed=1)
    assert sorted(np.concatenate([held_out for _, held_out in folds])) == list(range(6))


def test_too_few_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="2 texts cannot fill 3 folds; annotate more"):
        split_by_group(shipped().take([0, 100]), 3, seed=1)


def test_near_duplicates_in_two_articles_stay_on_one_side() -> None:
    examples = shipped().take(range(0, 400, 8))
    copied = replace(examples, texts=(examples.texts[-1] + "（续）", *examples.texts[1:]))
    assert copied.groups[0] != copied.groups[-1]
    for _, held_out in split_by_group(copied, 3, seed=2):
        assert (0 in held_out) == (len(copied) - 1 in held_out)


def test_one_topic_each_means_that_topics_exclude_each_other() -> None:
    annotations = load_annotations(DEFAULT_ANNOTATIONS, TOPICS)
    alone = [annotation for annotation in annotations if len(annotation.topics) == 1]
    assert from_annotations(alone, TOPICS).exclusive
    assert not from_annotations(annotations, TOPICS).exclusive
    assert from_annotations(alone, TOPICS).joined(from_phrases(TOPICS, exclusive=True)).exclusive


def test_articles_that_only_repeat_the_topic_hold_nothing_together() -> None:
    annotations = load_annotations(DEFAULT_ANNOTATIONS, TOPICS)
    alone = [annotation for annotation in annotations if len(annotation.topics) == 1]
    named = [replace(annotation, article=f"about {annotation.topics[0]}") for annotation in alone]
    assert from_annotations(named, TOPICS).groups == tuple(annotation.id for annotation in named)
    # One article of two topics, or one topic of two articles, and they are articles.
    for others in ([replace(named[0], article=named[-1].article), *named[1:]], [alone[0], *named[1:]]):
        assert from_annotations(others, TOPICS).groups == tuple(annotation.article for annotation in others)


def test_a_topic_that_nobody_annotated_is_unknown_not_absent() -> None:
    new = Topic("volunteering", "志愿服务", "志愿者开展的服务活动。")
    examples = from_annotations(load_annotations(DEFAULT_ANNOTATIONS, TOPICS), (*TOPICS, new))
    assert (examples.labels[:, 5] == UNKNOWN).all()
    assert (examples.labels[:, :5] >= 0).all()


def test_taking_and_joining_keep_rows_together() -> None:
    examples = shipped()
    joined = examples.take([3, 1]).joined(examples.take([0]))
    assert joined.ids == (examples.ids[3], examples.ids[1], examples.ids[0])
    assert (joined.labels == examples.labels[[3, 1, 0]]).all()
    assert joined.origins == ("seed", "seed", "seed")


def test_a_topic_is_unknown_where_it_came_after_the_judgement() -> None:
    late = Topic("late", "晚", "后来的话题", since=date(2026, 11, 22))
    early = Topic("early", "早", "早先的话题")

    def one(number: int, topics: tuple[str, ...], *when: str) -> Annotation:
        history = tuple(Said(topics, "editor", day) for day in when)
        return Annotation(f"a#{number}", "a", "a#1", number, f"段落{number}", topics, 1, True, "seed", history=history)

    given = [one(0, ()), one(1, ("early",), "2026-11-21"), one(2, ("late",)), one(3, (), "2026-11-21", "2026-11-22")]
    assert labels_of(given, [early, late]).tolist() == [[0, UNKNOWN], [1, UNKNOWN], [0, 1], [0, 0]]
    assert from_annotations(given, [early, late]).labels.tolist() == [[0, UNKNOWN], [1, UNKNOWN], [0, 1], [0, 0]]
