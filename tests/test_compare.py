"""Every recipe runs, finished runs are kept, and the table has a row for each."""

from dataclasses import replace
from pathlib import Path

import pytest

from data.annotations import DEFAULT_ANNOTATIONS
from data.topics import DEFAULT_TOPICS
from models import store
from training import compare
from training.recipes import RECIPES
from training.settings import TrainSettings
from training.train import read_data

pytestmark = pytest.mark.slow


def test_the_table_has_every_recipe_and_what_is_done_is_not_done_again(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "RUNS", tmp_path)
    monkeypatch.setattr(compare, "ORIGINS", ("seed",))
    data = read_data(DEFAULT_TOPICS, [DEFAULT_ANNOTATIONS])
    data = replace(data, paragraphs=data.paragraphs.take(range(0, 187, 3)))
    settings = TrainSettings(base=str(tiny_base), max_length=64, num_train_epochs=1)
    table = compare.compare(data, settings, list(RECIPES))
    rows = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    assert rows == list(RECIPES)
    (folder,) = tmp_path.iterdir()
    assert len(list(folder.glob("*.json"))) == 3 * len(RECIPES)

    def fail(*_: object) -> None:
        raise AssertionError("a finished run was started again")

    monkeypatch.setattr(compare, "prepare", fail)
    assert compare.compare(data, settings, list(RECIPES)) == table
