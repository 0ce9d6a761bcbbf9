"""The whole way, for real: train on the seeds, export, serve, tag over HTTP and in batch."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from conftest import SEEDS
from running_server import ROOT, Server

from data.annotations import DEFAULT_ANNOTATIONS, load_annotations
from data.sources import read_source
from data.topics import load_topics

pytestmark = pytest.mark.slow


def run(arguments: list[str], **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def models(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with one version, trained here by the command that users run."""
    folder = tmp_path_factory.mktemp("models")
    flags = ["--base", str(tiny_base), "--max_length", "128", "--num_train_epochs", "2", "--n_folds", "2"]
    arguments = ["training.train", "--annotations", str(DEFAULT_ANNOTATIONS), *flags]
    printed = run(arguments, DUANBIAO_MODELS=str(folder))
    assert "in use" in printed
    return folder


def current(models: Path) -> Path:
    tag, version = (models / "current").read_text(encoding="utf-8").split()[0].split(":")
    return models / "store" / "models" / tag / version


def test_rest_and_batch_give_the_same_answers(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "seeds.jsonl"
    run(["serving.batch", "seeds", str(out)], DUANBIAO_MODELS=str(models))
    batch = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    of_article = Counter(record["article"] for record in batch)
    annotated = Counter(one.source for one in load_annotations(DEFAULT_ANNOTATIONS, load_topics()))
    server = Server(tmp_path / "home", DUANBIAO_MODELS=str(models))
    try:
        server.wait_for("/readyz")
        for path in SEEDS:
            name = path.relative_to(ROOT).as_posix()
            answer = server.http.post("/v1/tag_article", json={"text": read_source(path), "name": name})
            assert answer.status_code == 200
            assert of_article[name] == annotated[name]
            assert answer.json()["paragraphs"] == [record for record in batch if record["article"] == name]
    finally:
        server.stop()


def test_the_report_compares_with_the_baselines(models: Path, tmp_path: Path) -> None:
    arguments = ["training.evaluate", "--annotations", str(DEFAULT_ANNOTATIONS), "--out", str(tmp_path)]
    printed = run(arguments, DUANBIAO_MODELS=str(models))
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert report in printed
    for row in (
        "| Duanbiao |",
        "| keyword list |",
        "| TF-IDF + logistic regression |",
        "`united_front`",
        "## For a second look",
    ):
        assert row in report
    for picture in ("reliability.png", "precision_recall.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


def test_the_artifact_says_where_it_comes_from(models: Path) -> None:
    content: dict[str, Any] = json.loads((current(models) / "tagger.json").read_text(encoding="utf-8"))
    assert set(content["data"]) == {"topics.toml", "annotations.jsonl", "test_written.jsonl"}
    assert 0 <= content["metrics"]["seed, out of fold"]["macro_f1"] <= 1
    assert content["settings"]["num_train_epochs"] == 2
    assert content["libraries"]["openvino"]


def test_two_processes_train_one_model(tiny_base: Path, tmp_path: Path) -> None:
    flags = ["--base", str(tiny_base), "--max_length", "64", "--num_train_epochs", "1", "--n_folds", "2"]
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "training.train"]
    arguments = [*launcher, "--annotations", str(DEFAULT_ANNOTATIONS), *flags]
    printed = run(arguments, DUANBIAO_MODELS=str(tmp_path), OMP_NUM_THREADS="1")
    assert printed.count("in use") == 1
    assert len(list((tmp_path / "store" / "models" / "duanbiao").glob("*/model.onnx"))) == 1
    assert (current(tmp_path) / "tagger.json").is_file()
