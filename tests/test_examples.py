"""Training examples: labels, and articles that never stand on both sides of a split."""

import numpy as np
import pytest

from data.annotations import DEFAULT_ANNOTATIONS, DEFAULT_FILES, load_annotation_files, load_annotations
from data.topics import load_topics
from training.examples import Examples, from_annotations, from_phrases, split_by_group

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
    assert len(examples) == sum(1 + len(topic.phrases) for topic in TOPICS)
    assert (examples.labels.sum(axis=1) == 1).all()
    place = examples.texts.index(TOPICS[2].phrases[0])
    assert examples.labels[place, 2] == 1


def test_no_article_or_writer_stands_on_both_sides() -> None:
    examples = shipped()
    folds = split_by_group(examples, 3, seed=13)
    assert sorted(np.concatenate([held_out for _, held_out in folds])) == list(range(len(examples)))
    for train, held_out in folds:
        assert not set(examples.take(train).groups) & set(examples.take(held_out).groups)
        assert not set(examples.take(train).texts) & set(examples.take(held_out).texts)


def test_too_few_articles_are_refused() -> None:
    examples = shipped().take([0, 1])
    with pytest.raises(ValueError, match="1 articles cannot fill 3 folds; annotate more articles"):
        split_by_group(examples, 3, seed=1)


def test_taking_and_joining_keep_rows_together() -> None:
    examples = shipped()
    joined = examples.take([3, 1]).joined(examples.take([0]))
    assert joined.ids == (examples.ids[3], examples.ids[1], examples.ids[0])
    assert (joined.labels == examples.labels[[3, 1, 0]]).all()
    assert joined.origins == ("seed", "seed", "seed")
