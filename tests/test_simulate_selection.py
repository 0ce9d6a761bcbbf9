"""The loop runs, goes on where it was stopped, and ends the same."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.annotations import DEFAULT_FILES
from data.topics import DEFAULT_TOPICS
from models import store
from training import simulate_selection
from training.settings import TrainSettings
from training.simulate_selection import look_around, simulate, split, table_of
from training.train import read_data

SCORES = {"review": np.array([[0.5, 0.7], [0.5, 0.6]]), "random": np.array([[0.5, 0.6], [0.5, 0.7]])}


def test_the_table_says_what_choosing_is_worth() -> None:
    table = table_of(SCORES)
    assert "| 100 | 0.650 ± 0.050 | 0.650 ± 0.050 | +0.000 |" in table
    assert "worth +0.000; more than random ones with 1 of 2 seeds" in table


@pytest.mark.slow
def test_the_loop_goes_on_where_it_was_stopped(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "RUNS", tmp_path)
    data = read_data(DEFAULT_TOPICS, DEFAULT_FILES)
    data = replace(data, paragraphs=data.paragraphs.take(range(0, len(data.paragraphs), 16)))
    settings = TrainSettings(base=str(tiny_base), max_length=64)
    # The tiny base differs by a bit each time it is run over the texts.
    world = look_around(data, settings)
    monkeypatch.setattr(simulate_selection, "look_around", lambda *_: world)
    scores = simulate(data, settings, n_seeds=1, n_rounds=1)
    assert all(found.shape == (1, 2) and (found > 0).all() for found in scores.values())

    (folder,) = tmp_path.iterdir()
    here = split(world, 0)
    groups = np.array(world.everything.examples.groups)
    assert not set(groups[here.pool]) & set(groups[here.held_out])
    kept = {path: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    for path, text in kept.items():
        chosen = json.loads(text)["chosen"]
        spent = [*here.start.tolist(), *(place for places in chosen for place in places)]
        assert len(spent) == len(set(spent)) and set(spent) <= set(here.pool.tolist())
        assert [len(places) for places in chosen] == [50, 50]
        if path.name.startswith("random"):
            stopped = {key: values[:1] for key, values in json.loads(text).items()}
            path.write_text(json.dumps(stopped), encoding="utf-8")
    again = simulate(data, settings, n_seeds=1, n_rounds=1)
    assert {path: path.read_text(encoding="utf-8") for path in folder.iterdir()} == kept
    assert all((again[method] == scores[method]).all() for method in scores)
