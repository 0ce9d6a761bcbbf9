"""Retraining for real, on a tiny encoder: nothing new, a worse model, and killed at any moment."""

import json
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from forked_retraining import Retraining

from data.annotations import DEFAULT_ANNOTATIONS
from data.topics import DEFAULT_TOPICS
from models.artifact import read_artifact

pytestmark = pytest.mark.slow

KILLS = 20
KEPT = 2
Desk = tuple[Path, list[str]]


@pytest.fixture(scope="module")
def retraining() -> Iterator[Retraining]:
    with Retraining() as program:
        yield program


@pytest.fixture(scope="module")
def desk(tiny_base: Path, retraining: Retraining, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A folder with annotations and a trained model in use, and the flags of the training without `--annotations`."""
    folder = tmp_path_factory.mktemp("desk")
    # A copy, as tests of the shipped topics are made on some hundred paragraphs, which takes its time.
    shutil.copy(DEFAULT_TOPICS, folder / "topics.toml")
    lines = DEFAULT_ANNOTATIONS.read_text(encoding="utf-8").splitlines(keepends=True)[::3]
    (folder / "known.jsonl").write_text("".join(lines[:-3]), encoding="utf-8")
    (folder / "more.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "shuffled.jsonl").write_text("".join(shuffled(lines)), encoding="utf-8")
    flags = ["--topics", str(folder / "topics.toml"), "--base", str(tiny_base), "--max_length", "128"]
    flags += ["--num_train_epochs", "0", "--n_folds", "2", "--out", str(folder / "report")]
    told, log = ["--annotations", str(folder / "known.jsonl"), *flags[:-2]], folder / "log"
    assert retraining.run(folder / "models", told, log, module="training.train") == 0, said(log)
    return folder, flags


def shuffled(lines: list[str]) -> list[str]:
    """Give each paragraph the topics of another one."""
    entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
    topics = [entry["topics"] for entry in entries]
    random.Random(3).shuffle(topics)
    mixed = [{**entry, "topics": other, "votes": []} for entry, other in zip(entries, topics, strict=True)]
    return [json.dumps(entry, ensure_ascii=False) + "\n" for entry in mixed]


def said(log: Path) -> str:
    return log.read_text(encoding="utf-8")


def fresh_models(desk: Desk, folder: Path) -> Path:
    """Return a copy of the models folder as it was before any retraining."""
    shutil.copytree(desk[0] / "models", folder)
    return folder


def arguments(desk: Desk, annotations: str) -> list[str]:
    return ["--annotations", str(desk[0] / annotations), *desk[1]]


def names_in(models: Path) -> list[str]:
    return (models / "current").read_text(encoding="utf-8").split()


def folder_in_use(models: Path) -> Path:
    tag, version = names_in(models)[0].split(":")
    return models / "store" / "models" / tag / version


def versions_in(models: Path) -> list[Path]:
    return sorted((models / "store" / "models" / "duanbiao").glob("2*"))


def content(folder: Path) -> dict[str, Any]:
    """Return what a version holds, but for when it was made."""
    assert read_artifact(folder)
    tagger = json.loads((folder / "tagger.json").read_text(encoding="utf-8"))
    files = ("model.onnx", "lexicon.safetensors", "tokenizer.json", "out_of_fold.jsonl")
    stamps = ("version", "created")
    return {
        "tagger.json": {key: value for key, value in tagger.items() if key not in stamps},
        **{name: (folder / name).read_bytes() for name in files},
    }


def test_on_the_same_data_there_is_nothing_to_do(desk: Desk, retraining: Retraining, tmp_path: Path) -> None:
    models = fresh_models(desk, tmp_path / "models")
    assert retraining.run(models, arguments(desk, "known.jsonl"), tmp_path / "log") == 0
    in_use = names_in(desk[0] / "models")[0]
    assert f"{in_use} was trained on this very data; nothing to do" in said(tmp_path / "log")
    assert names_in(models) == names_in(desk[0] / "models")
    assert len(versions_in(models)) == 1


@pytest.fixture(scope="module")
def mistaken(desk: Desk, retraining: Retraining) -> tuple[Path, list[str]]:
    """A models folder after a retraining on labels of other paragraphs, which teach nothing; and its arguments."""
    models = fresh_models(desk, desk[0] / "mistaken")
    (desk[0] / "test.jsonl").write_text(some_test_lines(), encoding="utf-8")
    told = [*arguments(desk, "shuffled.jsonl"), "--test", str(desk[0] / "test.jsonl")]
    assert retraining.run(models, told, models / "log") == KEPT, said(models / "log")
    return models, told


def test_a_worse_model_is_kept_out_and_kept(
    desk: Desk, mistaken: tuple[Path, list[str]], retraining: Retraining, tmp_path: Path
) -> None:
    models, told = mistaken
    assert names_in(models) == names_in(desk[0] / "models")
    printed, report = said(models / "log"), said(desk[0] / "report" / "retrain.md")
    for text in (printed, report):
        assert "- test paragraphs: macro F1 falls by 0." in text and ", more than 0.01" in text
    assert f"{names_in(models)[0]} stays in use; duanbiao:" in printed
    assert len(versions_in(models)) == 2
    # The same command trains nothing again, and comes to the same.
    assert retraining.run(models, told, tmp_path / "again") == KEPT
    assert "was trained on this data by an earlier run" in said(tmp_path / "again")
    assert names_in(models) == names_in(desk[0] / "models")
    assert len(versions_in(models)) == 2


def some_test_lines() -> str:
    lines = (DEFAULT_ANNOTATIONS.parent / "test_written.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(lines[::8])


class Watch:
    """Looks at `models/current` all the time, and keeps what was wrong with what it named."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.looks = 0
        self._models: Path | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def follow(self, models: Path) -> None:
        self._models = models

    def _look(self) -> None:
        seen: set[Path] = set()
        while not self._ended.wait(0.01):
            if self._models is None:
                continue
            self.looks += 1
            try:
                folder = folder_in_use(self._models)
                if folder not in seen:
                    read_artifact(folder)
                    seen.add(folder)
            except (OSError, ValueError) as error:
                self.wrong.append(str(error))


def test_killed_twenty_times_it_promotes_the_same_model(
    desk: Desk, mistaken: tuple[Path, list[str]], retraining: Retraining, tmp_path: Path
) -> None:
    """Kill at moments spread over the whole run, from before its first fold to its very end.

    The mistaken model is in use, so the new one is surely better.
    """
    start = tmp_path / "start"
    shutil.copytree(mistaken[0], start)
    (start / "current").write_text(f"duanbiao:{versions_in(start)[-1].name}\nreleased\n", encoding="utf-8")
    undisturbed = Path(shutil.copytree(start, tmp_path / "undisturbed"))
    told = arguments(desk, "more.jsonl")
    before = content(folder_in_use(undisturbed))
    begun = time.monotonic()
    assert retraining.run(undisturbed, told, tmp_path / "log") == 0, said(tmp_path / "log")
    whole = time.monotonic() - begun
    expected = content(folder_in_use(undisturbed))
    assert expected != before
    chance = random.Random(7)
    kills, runs = 0, 0
    with Watch() as watch:
        while kills < KILLS:
            models = Path(shutil.copytree(start, tmp_path / f"models-{runs}"))
            watch.follow(models)
            runs += 1
            status = -signal.SIGKILL
            while status == -signal.SIGKILL:
                # From the start of a run or of its continuation, so that some get far and some nowhere.
                seconds = chance.uniform(0, whole * chance.random()) if kills < KILLS else None
                status = retraining.run(models, told, tmp_path / f"log-{runs}", seconds)
                kills += status == -signal.SIGKILL
                assert content(folder_in_use(models)) in (before, expected)
            assert status == 0, said(tmp_path / f"log-{runs}")
            assert content(folder_in_use(models)) == expected
            assert names_in(models)[1:] == names_in(start)
    assert watch.wrong == []
    assert watch.looks > KILLS
