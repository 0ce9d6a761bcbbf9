"""What `make bench` counts and reads, and a short run of all of it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench.apart import pinned
from bench.corpus import FILES, ROUND, Work, load_texts
from bench.counting import measure as count_work
from bench.footprint import installed_size, memory_of
from bench.reference import Reference, Windows

from models.artifact import LEXICON_FILE, MODEL_FILE, TOKENIZER_FILE, read_artifact, write_tagger_file
from models.tagger import Tagger
from training.fine_tune import new_network

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def model(tiny_artifact: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The tiny artifact, with its base where it can be found."""
    folder = tmp_path_factory.mktemp("bench_model")
    for name in (MODEL_FILE, TOKENIZER_FILE, LEXICON_FILE):
        (folder / name).write_bytes((tiny_artifact / name).read_bytes())
    write_tagger_file(replace(read_artifact(tiny_artifact), base=str(tiny_base)), folder)
    yield folder


def test_every_round_of_paragraphs_has_short_and_long_ones() -> None:
    texts = load_texts()
    assert len(set(texts)) == len(texts) and len(texts) % ROUND == 0
    by_length = sorted(len(text) for text in texts)
    median = by_length[len(texts) // 2]
    for start in range(0, len(texts), ROUND):
        shorter = sum(len(text) < median for text in texts[start : start + ROUND])
        assert abs(shorter - ROUND / 2) <= 1


def test_the_same_seed_gives_the_same_order() -> None:
    assert load_texts() == load_texts() != load_texts(FILES[:1])


def test_work_is_the_mean_over_what_was_read() -> None:
    work = Work((1, 2, 6), (10, 20, 60))
    assert work.mean_tokens(2) == 1.5
    assert work.mean_operations(4) == (10 + 20 + 60 + 10) / 4


def test_operations_are_those_that_torch_counts(model: Path) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    artifact, windows = read_artifact(model), Windows(model)
    network = new_network(artifact.base, len(artifact.topics)).eval()
    network.encoder.set_attn_implementation("eager")
    for text, (tokens, operations) in list(zip(load_texts(), count_work(str(model)), strict=True))[:3]:
        cut = windows.cut(text)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            for window in cut:
                network(torch.tensor([window]), torch.ones(1, len(window), dtype=torch.long))
        assert tokens == sum(map(len, cut))
        assert operations == counter.get_total_flops()


def test_the_reference_reads_what_the_tagger_reads(model: Path) -> None:
    tagger, windows = Tagger(model, threads=1), Windows(model)
    texts = [*load_texts()[:8], "安全生产检查，排查隐患。" * 40]
    assert [[list(window) for window in one.windows] for one in tagger.encode(texts)] == list(map(windows.cut, texts))
    probabilities = Reference(model, threads=2).decide(texts).probabilities
    own = np.array([list(tags.scores.values()) for tags in tagger.tag(texts)])
    # Another engine may round otherwise; another text, or no lexicon, would be far off.
    assert np.abs(probabilities - own).mean() < 0.02


def test_size_in_memory_and_on_disk() -> None:
    memory = memory_of([os.getpid()])
    assert 0 < memory.proportional <= memory.resident
    packages, size = installed_size(ROOT / "requirements" / "serve.txt")
    assert packages > 10 and size > sum(path.stat().st_size for path in Path(np.__file__).parent.glob("*.py"))


@pytest.mark.slow
def test_a_short_run_fills_every_table(model: Path, tmp_path: Path) -> None:
    variables = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        # Nothing is installed: the row says so.
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path),
    }
    report = tmp_path / "report" / "bench.md"
    options = ["--seconds", "0.2", "--model", str(model), "--work", str(tmp_path / "work"), "--report", str(report)]
    # On one core: where other programs run too, threads that wait for each other take minutes.
    with pinned([min(os.sched_getaffinity(0))]):
        done = subprocess.run(
            [sys.executable, "-m", "bench", *options],
            cwd=ROOT,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    text = report.read_text(encoding="utf-8")
    assert text in done.stdout
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    labels = [row[0] for row in rows]
    for engine in ("ours", "our network, torch fp32", "our network, ONNX Runtime fp32"):
        assert any(label.startswith(engine) for label in labels), engine
    requests = [row for row in rows if len(row) == 8 and row[0].isdigit()]
    assert [tuple(row[:2]) for row in requests] == [(c, p) for p in ("1", "8") for c in ("1", "8", "32")]
    assert all(float(row[3]) > 0 for row in requests), text
    # 32 clients are as many as the service takes at once, and it may still drop what the row before has left.
    assert all(row[6] == "0" for row in requests if row[0] != "32"), text
    assert 0 < float(rows[labels.index("network")][2].rstrip("%")) <= 100
    (infinity,) = (row for row in rows if row[0].startswith("infinity-emb"))
    assert infinity[1].startswith("could not be installed: ERROR")
    assert sum("tokens by" in label for label in labels) == 6
    demands = rows[labels.index("throughput over HTTP, best of the above, beside the tutorial's service") :]
    assert len(demands) == 8
    assert all(row[3] in ("yes", "no") and float(row[2]) > 0 for row in demands)
