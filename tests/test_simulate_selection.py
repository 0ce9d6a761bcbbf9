"""The loop runs, goes on where it was stopped, and ends the same."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.annotations import DEFAULT_FILES
from data.topics import DEFAULT_TOPICS
from training.settings import TrainSettings
from training.simulate_selection import METHODS, look_around, run, split, table_of
from training.train import read_data

SCORES = {"review": np.array([[0.5, 0.7], [0.5, 0.6]]), "random": np.array([[0.5, 0.6], [0.5, 0.7]])}


def test_the_table_says_what_choosing_is_worth() -> None:
    table = table_of(SCORES)
    assert "| 100 | 0.650 ± 0.050 | 0.650 ± 0.050 | +0.000 |" in table
    assert "worth +0.000; more than random ones with 1 of 2 seeds" in table


@pytest.mark.slow
def test_the_loop_goes_on_where_it_was_stopped(tiny_base: Path, tmp_path: Path) -> None:
    data = read_data(DEFAULT_TOPICS, DEFAULT_FILES)
    data = replace(data, paragraphs=data.paragraphs.take(range(0, len(data.paragraphs), 16)))
    world = look_around(data, TrainSettings(base=str(tiny_base), max_length=64))
    for method in METHODS:
        run(world, method, 0, 1, tmp_path)
    here = split(world, 0)
    groups = np.array(world.everything.examples.groups)
    assert not set(groups[here.pool]) & set(groups[here.held_out])
    kept = {path: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert len(kept) == 2
    for path, text in kept.items():
        rounds = json.loads(text)
        spent = [*here.start.tolist(), *(place for places in rounds["chosen"] for place in places)]
        assert len(spent) == len(set(spent)) and set(spent) <= set(here.pool.tolist())
        assert [len(places) for places in rounds["chosen"]] == [50, 50]
        assert len(rounds["macro_f1"]) == 2 and all(0 < score < 1 for score in rounds["macro_f1"])
        stopped = {key: values[:1] for key, values in rounds.items()}
        path.write_text(json.dumps(stopped), encoding="utf-8")
    for method in METHODS:
        run(world, method, 0, 1, tmp_path)
    assert {path: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == kept
