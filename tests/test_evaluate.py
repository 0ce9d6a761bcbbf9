"""The report, on a small model trained here."""

import json
from pathlib import Path

import pytest

from data.annotations import DEFAULT_ANNOTATIONS
from data.topics import DEFAULT_TOPICS, load_topics
from models import store
from training.evaluate import evaluate
from training.learning_curve import SHARES, Point, gain_of_next
from training.settings import TrainSettings
from training.split_guard import TEST_FILES
from training.spread import N_SEEDS
from training.train import read_data, train

pytestmark = pytest.mark.slow

TOPICS = load_topics()


def part(path: Path, step: int) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()[::step]


@pytest.fixture(scope="module")
def report(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("report")
    known, test = folder / "known.jsonl", folder / "test.jsonl"
    known.write_text("\n".join(part(DEFAULT_ANNOTATIONS, 3)), encoding="utf-8")
    test.write_text("\n".join(part(TEST_FILES[0], 20)), encoding="utf-8")
    settings = TrainSettings(base=str(tiny_base), max_length=64, n_folds=2)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "STORE", "RUNS", "CURRENT"):
            patch.setattr(store, name, folder / name.lower())
        patch.setenv("BENTOML_HOME", str(folder / "store"))
        model = folder / "model"
        patch.setattr(store, "save", lambda tag, fill: (model.mkdir(), fill(model), tag)[2])
        patch.setattr(store, "promote", lambda tag: None)
        patch.setattr(store, "resolve", lambda tag: model)
        train("report", read_data(DEFAULT_TOPICS, [known], [test]), settings)
    assert (model / "report" / "report.md").is_file()
    return evaluate(model, read_data(DEFAULT_TOPICS, [known], [test]), folder / "out"), folder / "out"


def test_the_report_has_every_part_and_its_pictures(report: tuple[str, Path]) -> None:
    text, out = report
    assert (out / "report.md").read_text(encoding="utf-8") == text
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        "## Test paragraphs, never trained on",
        "## Seed articles, whole articles held out",
        "## Pictures",
        "## Evidence",
        "## Topics nobody annotated",
        "## What hangs on the split",
        "## What more labels buy",
        "## For a second look: the 20 annotations contradicted most",
    ]
    assert {path.name for path in out.iterdir()} == {"report.md", "reliability.png", "precision_recall.png"}


def test_topics_left_out_are_listed(report: tuple[str, Path]) -> None:
    section = report[0].split("## Topics nobody annotated")[1].split("##")[0]
    assert [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")] == [t.id for t in TOPICS]


def test_the_spread_begins_with_the_figures_of_the_trainings_own_split(report: tuple[str, Path]) -> None:
    rows = report[0].split("## What hangs on the split")[1].split("##")[0].splitlines()
    (row,) = (row for row in rows if row.startswith("| seed"))
    scores = [float(score) for score in row.split("|")[4].split(",")]
    assert len(scores) == N_SEEDS and len(set(scores)) > 1
    assert float(row.split("|")[2]) == pytest.approx(sum(scores) / N_SEEDS, abs=0.001)
    # The last point of the curve is trained on all articles, at the same split.
    last = [
        line for line in report[0].split("## What more labels buy")[1].split("##")[0].splitlines() if line[:1] == "|"
    ]
    assert float(last[-1].split("|")[3]) == scores[0]


def test_the_curve_grows_in_labels(report: tuple[str, Path]) -> None:
    section = report[0].split("## What more labels buy")[1].split("##")[0]
    sizes = [int(line.split("|")[1]) for line in section.splitlines() if line[:3].strip("| ").isdigit()]
    assert len(sizes) == len(SHARES)
    assert sizes == sorted(sizes)


def test_the_audit_names_contradicted_annotations(report: tuple[str, Path]) -> None:
    section = report[0].split("## For a second look")[1]
    ids = {json.loads(line)["id"]: json.loads(line)["topics"] for line in part(DEFAULT_ANNOTATIONS, 3)}
    named = [line for line in section.splitlines() if line.startswith("- `")]
    assert 0 < len(named) <= 20
    for line in named:
        topic = line.split("`")[1]
        (example,) = [one for one in ids if f", {one}: " in line]
        assert (topic in ids[example]) == (" missed at " in line)


def test_the_gain_follows_the_line_over_the_logarithm() -> None:
    points = [
        Point(share, n, 1, {"seed": 0.1 * place}) for place, (share, n) in enumerate([(0.2, 100), (0.5, 200), (1, 400)])
    ]
    # Doubling buys 0.1, so 400 more labels at 400 buy 0.1.
    assert gain_of_next(points, "seed", 400) == pytest.approx(0.1)
