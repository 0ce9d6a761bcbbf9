import pytest

from models.decisions import Answer
from serving.summary import counts as counts_module
from serving.summary.counts import LENGTH_BINS, OTHER_SOURCES, SCORE_BINS, Counts, score_bin
from serving.summary.tagged import Tagged


def tagged(article: str, answer: Answer, topics: tuple[str, ...], scores: tuple[float, float], length: int) -> Tagged:
    return Tagged(f"{article}#0", article, length, answer, topics, {"a": scores[0], "b": scores[1]}, "v1")


@pytest.fixture
def counts() -> Counts:
    found = Counts(("a", "b"))
    found.add(tagged("日报/2024-05-01.txt", "topics", ("a", "b"), (0.9, 1.0), 30))
    found.add(tagged("日报/2024-05-02.txt", "none", (), (0.0, 0.01), 24))
    found.add(tagged("日报/2024-06-02.txt", "unsure", ("b",), (0.3, 0.5), 25))
    found.add(tagged("晚报/x.txt", "unsure", (), (0.3, 0.4), 100_000))
    return found


def test_counts_by_source_and_month(counts: Counts) -> None:
    assert {key: (cell.paragraphs, cell.topics) for key, cell in counts.cells.items()} == {
        ("日报", "2024-05"): (2, [1, 1]),
        ("日报", "2024-06"): (1, [0, 1]),
        ("晚报", "unknown"): (1, [0, 0]),
    }
    assert [(name, cell.paragraphs) for name, cell in counts.by_source().items()] == [("日报", 3), ("晚报", 1)]
    months = counts.by_month()
    assert list(months) == ["2024-05", "2024-06", "unknown"]
    assert months["2024-05"].answers == {"topics": 1, "none": 1, "unsure": 0}
    total = counts.total()
    assert (total.paragraphs, total.topics) == (4, [1, 2])
    assert total.answers == {"topics": 1, "none": 1, "unsure": 2}
    # Summing changes nothing of what was summed.
    assert counts.total() == total


def test_histograms(counts: Counts) -> None:
    assert [sum(histogram) for histogram in counts.scores] == [4, 4] and sum(counts.lengths) == 4
    assert counts.scores[0][18] == 1 and counts.scores[1][SCORE_BINS - 1] == 1
    assert counts.scores[0][6] == 2 and counts.scores[1][8] == counts.scores[1][10] == 1
    assert counts.lengths[0] == 1 and counts.lengths[1] == 2 and counts.lengths[LENGTH_BINS - 1] == 1


def test_a_bin_includes_its_lower_edge() -> None:
    assert [score_bin(units / 10000) for units in range(10001)] == [min(units // 500, 19) for units in range(10001)]


def test_scores_of_other_topics_are_refused_and_nothing_is_counted(counts: Counts) -> None:
    before = counts.total()
    with pytest.raises(ValueError, match="not those of the topics a, b"):
        counts.add(Tagged("i", "x", 1, "none", (), {"a": 0.1, "c": 0.2}, "v1"))
    with pytest.raises(ValueError, match="not those of the topics a, b"):
        counts.add(Tagged("i", "x", 1, "none", (), {"a": 0.1}, "v1"))
    assert counts.total() == before and sum(counts.lengths) == 4


def test_very_many_sources_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts_module, "MAX_SOURCES", 3)
    found = Counts(("a", "b"))
    for _ in range(2):
        for number in range(10):
            found.add(tagged(f"source{number}/a.txt", "none", (), (0, 0), 1))
    assert {source: cell.paragraphs for source, cell in found.by_source().items()} == {
        "source0": 2,
        "source1": 2,
        "source2": 2,
        OTHER_SOURCES: 14,
    }
