from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from training.selection import Candidates, select

N_ANNOTATED, N_OPEN, N_TOPICS = 60, 240, 3


@pytest.fixture
def candidates() -> Candidates:
    rng = np.random.default_rng(0)
    n = N_ANNOTATED + N_OPEN
    annotated = np.arange(n) < N_ANNOTATED
    features = rng.normal(size=(n, 8))
    contradicted = np.zeros((n, N_TOPICS), bool)
    contradicted[:20, 1] = True
    return Candidates(
        probabilities=rng.uniform(0, 1, (n, N_TOPICS)).round(4),
        thresholds=np.array([0.5, 0.4, 0.6]),
        annotated=annotated,
        contradicted=contradicted,
        features=features / np.linalg.norm(features, axis=1, keepdims=True),
        twins=np.arange(n),
    )


def places(candidates: Candidates, reason: str, budget: int = 50, seed: int = 1) -> list[int]:
    return [choice.place for choice in select(candidates, budget, seed) if choice.reason == reason]


def test_the_budget_is_shared_out_and_kept(candidates: Candidates) -> None:
    choices = select(candidates, 50, 1)
    assert Counter(choice.reason for choice in choices) == {
        "random": 5,
        "contradicted": 10,
        "unsure": 25,
        "diverse": 10,
    }
    assert len({choice.place for choice in choices}) == 50
    for budget in (1, 2, 3, 7, 1000):
        assert len(select(candidates, budget, 1)) == min(budget, N_OPEN + 20)


def test_the_same_seed_chooses_the_same(candidates: Candidates) -> None:
    assert select(candidates, 50, 1) == select(candidates, 50, 1)
    assert places(candidates, "random", seed=1) != places(candidates, "random", seed=2)


def test_annotated_paragraphs_come_only_where_they_are_contradicted(candidates: Candidates) -> None:
    for choice in select(candidates, 1000, 1):
        assert (choice.place < 20) if choice.reason == "contradicted" else choice.place >= N_ANNOTATED


def test_the_surest_contradictions_come_first(candidates: Candidates) -> None:
    column = candidates.probabilities[:20, 1]
    odds = np.log(column / (1 - column)) - np.log(0.4 / 0.6)
    assert places(candidates, "contradicted") == np.argsort(-np.abs(odds))[:10].tolist()


def test_unsure_ones_are_the_closest_to_a_threshold(candidates: Candidates) -> None:
    probabilities = np.full_like(candidates.probabilities, 0.001)
    close = np.arange(100, 130)
    probabilities[close, close % N_TOPICS] = candidates.thresholds[close % N_TOPICS] + 0.01
    chosen = places(replace(candidates, probabilities=probabilities), "unsure")
    assert len(chosen) == 25 and set(chosen) <= set(close.tolist())


def test_of_exclusive_topics_the_close_races_are_unsure(candidates: Candidates) -> None:
    probabilities = np.tile([0.98, 0.01, 0.01], (N_ANNOTATED + N_OPEN, 1))
    close = np.arange(200, 230)
    probabilities[close] = [0.4, 0.35, 0.25]
    chosen = places(replace(candidates, probabilities=probabilities, exclusive=True), "unsure")
    assert set(chosen) <= set(close.tolist())


def test_diverse_ones_are_unlike_what_is_annotated(candidates: Candidates) -> None:
    features = np.zeros((N_ANNOTATED + N_OPEN, 3))
    features[:, 0] = 1
    strange = np.arange(250, 260)
    features[strange] = [0, 1, 0]
    features[strange[5:]] = [0, 0, 1]
    few = replace(candidates, features=features, probabilities=np.full_like(candidates.probabilities, 0.001))
    drawn = [place for seed in range(5) for place in places(few, "diverse", budget=5, seed=seed)]
    assert set(drawn) <= set(strange.tolist())
    both = places(few, "diverse", budget=10, seed=3)
    assert {int(features[place].argmax()) for place in both} == {1, 2}


def test_near_duplicates_are_not_chosen_twice_nor_beside_an_annotated_one(candidates: Candidates) -> None:
    twins = np.arange(N_ANNOTATED + N_OPEN)
    twins[N_ANNOTATED:] = N_ANNOTATED + np.arange(N_OPEN) // 4
    twins[N_ANNOTATED : N_ANNOTATED + 40] = 3
    chosen = select(replace(candidates, twins=twins), 1000, 1)
    numbers = [int(twins[choice.place]) for choice in chosen]
    assert len(numbers) == len(set(numbers)) == 20 + 50
    assert all(choice.place < 20 or choice.place >= N_ANNOTATED + 40 for choice in chosen)


def test_random_ones_are_drawn_evenly(candidates: Candidates) -> None:
    counts = Counter(place for seed in range(400) for place in places(candidates, "random", seed=seed))
    drawn = np.array([counts[place] for place in range(N_ANNOTATED, N_ANNOTATED + N_OPEN)])
    assert drawn.sum() == 2000
    # Chi square over 239 degrees of freedom: beyond 320 once in three thousand.
    assert ((drawn - 2000 / N_OPEN) ** 2 / (2000 / N_OPEN)).sum() < 320


def test_a_model_that_knows_none_of_the_topics_leaves_the_unlike_ones(candidates: Candidates) -> None:
    none: dict[str, Any] = {"probabilities": np.zeros((300, 0)), "contradicted": np.zeros((300, 0), bool)}
    chosen = select(replace(candidates, thresholds=np.zeros(0), **none), 50, 1)
    assert Counter(choice.reason for choice in chosen) == {"random": 5, "diverse": 45}


def test_nothing_to_choose_from_gives_nothing(candidates: Candidates) -> None:
    done = replace(candidates, annotated=np.ones(300, bool), contradicted=np.zeros((300, N_TOPICS), bool))
    assert select(done, 50, 1) == []
    with pytest.raises(ValueError, match="give 1 or more"):
        select(candidates, 0, 1)
