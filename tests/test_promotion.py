from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import write_tiny_artifact

from data.topics import Topic, load_topics
from models.artifact import read_artifact
from models.decisions import decide
from models.out_of_fold import write_out_of_fold
from models.tagger import Tagger
from training.examples import Examples
from training.promotion import (
    MACRO_MARGIN,
    TOPIC_MARGIN,
    Answers,
    collect_answers,
    compare,
    reasons_to_keep,
)

TOPICS = load_topics()
IDS = tuple(topic.id for topic in TOPICS)
N = 400


def answers(incumbent_misses: dict[int, int], candidate_misses: dict[int, int], n_articles: int = 40) -> Answers:
    """Each topic stands in a fifth of the paragraphs; the misses are how many of these a model does not give it."""
    labels = np.arange(N)[:, None] % 5 == np.arange(5)
    groups = tuple(f"a{row // 5 % n_articles}" for row in range(N))
    return Answers("test", IDS, labels, groups, missing(labels, incumbent_misses), missing(labels, candidate_misses))


def missing(labels: np.ndarray, misses: dict[int, int]) -> np.ndarray:
    given = labels.copy()
    for column, n in misses.items():
        given[np.flatnonzero(labels[:, column])[:n], column] = False
    return given


def test_figures_by_hand() -> None:
    found = compare(answers({0: 40}, {0: 20}))
    # 40 and 60 of 80 found, nothing wrong besides: F1 80/120 and 120/140.
    assert found.topics[IDS[0]] == pytest.approx((2 / 3, 6 / 7))
    assert found.topics[IDS[1]] == (1, 1)
    assert found.macro_f1 == pytest.approx(((4 + 2 / 3) / 5, (4 + 6 / 7) / 5))
    assert (found.n_paragraphs, found.n_articles) == (N, 40)
    assert set(found.median_losses) == {"", *IDS}


def test_a_better_one_takes_the_place() -> None:
    found = compare(answers({0: 40, 1: 30}, {0: 10}))
    assert reasons_to_keep([found]) == []
    assert found.interval[1] >= found.interval[0] > 0
    assert found.median_losses[IDS[0]] < 0


def test_an_equal_one_takes_the_place() -> None:
    found = compare(answers({2: 20}, {2: 20}))
    assert reasons_to_keep([found]) == []
    assert found.interval == (0, 0)
    assert set(found.median_losses.values()) == {0}


def test_a_little_worse_is_within_the_margin() -> None:
    found = compare(answers({0: 10}, {0: 12}))
    assert 0 < found.median_losses[IDS[0]] < TOPIC_MARGIN
    assert reasons_to_keep([found]) == []


def test_one_much_worse_topic_is_enough() -> None:
    # The macro F1 even rises.
    found = compare(answers({1: 60, 2: 60}, {3: 20}))
    assert found.macro_f1[1] > found.macro_f1[0]
    (reason,) = reasons_to_keep([compare(answers({}, {})), found])
    loss = found.median_losses[IDS[3]]
    assert reason == f"test: F1 of {IDS[3]} falls by {loss:.3f}, more than {TOPIC_MARGIN}"
    assert loss == pytest.approx(1 - 120 / 140, abs=0.02)


def test_all_topics_a_little_worse_are_too_much_together() -> None:
    found = compare(answers({}, dict.fromkeys(range(5), 4)))
    (reason,) = reasons_to_keep([found])
    assert reason.startswith("test: macro F1 falls by 0.02") and reason.endswith(f"more than {MACRO_MARGIN}")


@pytest.mark.parametrize(("n_others", "always_drawn"), [(8, True), (12, False)])
def test_articles_are_drawn_whole_but_of_few_articles_the_paragraphs_are(n_others: int, always_drawn: bool) -> None:
    """All that differs stands in one article: a draw of articles often lacks it, a draw of paragraphs hardly ever."""
    differ = answers({}, {0: 9})
    groups = tuple("one" if row < 45 else f"b{row % n_others}" for row in range(N))
    found = compare(replace(differ, groups=groups))
    assert found.n_articles == n_others + 1
    assert (found.interval[1] < 0) == always_drawn


def test_the_draws_are_the_same_each_time() -> None:
    differ = answers({0: 5}, {1: 7}, n_articles=9)
    assert compare(differ) == compare(differ)
    assert compare(differ) != compare(differ, seed=1)


SIXTH = Topic("volunteering", "志愿服务", "志愿者的活动", ())
# The lexicon of a tiny artifact knows one sequence of each topic; "。" keeps them apart.
TEXTS = ("甲乙来了。", "丙丁来了。", "戊己来了。", "庚辛来了。", "壬癸来了。", "无人来。")


@pytest.fixture(scope="module")
def two(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model of the shipped topics and one whose first topic is a sixth."""
    folders = []
    for topics in (TOPICS, (SIXTH, *TOPICS)):
        folders.append(write_tiny_artifact(tmp_path_factory.mktemp("model"), tiny_base, topics))
    return folders[0], folders[1]


def examples(prefix: str = "p") -> Examples:
    """Labels of six topics, the sixth first."""
    labels = np.eye(6, dtype=np.float32)[[1, 2, 3, 4, 5, 0]]
    ids = tuple(f"{prefix}{row}" for row in range(6))
    return Examples(ids, TEXTS, labels, ids, ("written",) * 6)


def keep(folder: Path, ids: tuple[str, ...], n_topics: int) -> np.ndarray:
    logits = np.random.default_rng(len(ids) + n_topics).normal(0, 8, (len(ids), n_topics)).astype(np.float32)
    write_out_of_fold(folder, ids, ["字"] * len(ids), logits.round(5))
    return logits


def test_only_topics_and_paragraphs_of_both_are_compared(two: tuple[Path, Path]) -> None:
    incumbent, candidate = two
    old, new = keep(incumbent, ("p4", "p0", "gone"), 5), keep(candidate, examples().ids, 6)
    shipped, kept = collect_answers(incumbent, candidate, examples(), examples("t"))
    assert shipped.topics == kept.topics == IDS
    assert (shipped.labels == np.eye(6, 5, dtype=bool)).all()
    for found, folder, first in ((shipped.incumbent, incumbent, 0), (shipped.candidate, candidate, 1)):
        tagger = Tagger(folder)
        decided = decide(tagger.artifact.topics, tagger.logits(tagger.encode(TEXTS)))
        assert (found == decided.given[:, first:]).all()
    assert kept.groups == ("p0", "p4")
    assert (kept.labels == np.eye(5, dtype=bool)[[0, 4]]).all()
    assert (kept.incumbent == decide(read_artifact(incumbent).topics, old[[1, 0]]).given).all()
    assert (kept.candidate == decide(read_artifact(candidate).topics, new[[0, 4]]).given[:, 1:]).all()


def test_without_anything_in_common_it_says_what_to_do(two: tuple[Path, Path], tiny_base: Path, tmp_path: Path) -> None:
    incumbent, candidate = two
    keep(incumbent, ("gone",), 5)
    keep(candidate, examples().ids, 6)
    with pytest.raises(ValueError, match=r"no held-out paragraph or no topic in common.*TEST=.*'make train'"):
        collect_answers(incumbent, candidate, examples(), None)
    other = write_tiny_artifact(tmp_path, tiny_base, (SIXTH,))
    with pytest.raises(ValueError, match="no topic in common"):
        collect_answers(other, incumbent, examples(), examples("t"))
