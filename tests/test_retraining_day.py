"""The README's demonstration at small size: from a new article to a better model in a running service, and back."""

import csv
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from forked_retraining import Retraining
from running_server import Server, wait_until
from test_retrain import shuffled

pytestmark = pytest.mark.slow

ARTICLE = """柳河镇一周要闻

本周二，柳河镇网店协会请来主播，教果农在直播间卖山楂，三天卖出两万单，快递车天天进村。

镇应急管理站周三检查了六家加油站的消防器材，当场更换过期灭火器九具，并约谈了两名负责人。

周四夜里下了入冬以来第一场雪，气温降到零下八度，镇上的小学推迟半小时上课，河面结了薄冰。
"""
ANSWERS = {"教果农在直播间": "电商", "六家加油站": "安全生产与监管检查", "入冬以来第一场雪": "无"}


class Calls:
    """Calls a service all the time from a thread of its own, and keeps what it answered."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.failed: list[str] = []
        self.models: list[str] = []
        """Of the answers, each where it differs from the one before."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._call)

    def __enter__(self) -> "Calls":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _call(self) -> None:
        while not self._ended.wait(0.2):
            try:
                answer = self._server.tag("果农在直播间卖山楂。")
                answer.raise_for_status()
                model = answer.json()["model"]
            except Exception as error:
                self.failed.append(repr(error))
                continue
            if self.models[-1:] != [model]:
                self.models.append(model)


class Desk:
    """A checkout of its own, whose commands run as `python -m MODULE` would in it."""

    def __init__(self, root: Path, program: Retraining) -> None:
        self.root, self.models = root, root / "models"
        self._program, self._number = program, 0

    def run(self, module: str, *arguments: str) -> str:
        """Run a command that must succeed; return what it printed."""
        self._number += 1
        log = self.root / f"log-{self._number}"
        status = self._program.run(self.models, list(arguments), log, module=module)
        said = log.read_text(encoding="utf-8")
        assert status == 0, said
        return said


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    root = tmp_path / "checkout"
    for name in ("data", "serving", "training", "seeds"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "models").mkdir()
    for path in (ROOT / "models").glob("*.py"):
        shutil.copy(path, root / "models")
    (root / "models" / "released").symlink_to(ROOT / "models" / "released")
    # A copy, as tests of the shipped topics are made on some hundred paragraphs, which takes its time.
    shutil.copy(root / "data" / "topics.toml", root)
    with Retraining(root) as program:
        yield Desk(root, program)


def fill_in(path: Path) -> int:
    """Fill in the rows of the new article; return how many."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        head, *rows = csv.reader(file)
    text, topics = (
        next(place for place, name in enumerate(head) if name.startswith(key)) for key in ("text", "topics")
    )
    filled = 0
    for row in rows:
        for part, answer in ANSWERS.items():
            if part in row[text]:
                row[topics] = answer
                filled += 1
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return filled


def test_from_a_new_article_to_a_better_model_and_back(desk: Desk, tiny_base: Path, tmp_path: Path) -> None:
    annotations = desk.root / "data" / "annotations.jsonl"
    before = annotations.read_text(encoding="utf-8").splitlines(keepends=True)
    # What is in use was taught labels of other paragraphs, so what is taught now is surely better.
    (desk.root / "mistaken.jsonl").write_text("".join(shuffled(before)), encoding="utf-8")
    data = ["--topics", "topics.toml", "--annotations", "data/annotations.jsonl"]
    how = ["--base", str(tiny_base), "--max_length", "128", "--num_train_epochs", "0", "--n_folds", "2"]
    desk.run("training.train", *data[:3], "mistaken.jsonl", *how)
    old = version_in_use(desk)
    server = Server(tmp_path / "home", DUANBIAO_MODELS=str(desk.models))
    try:
        server.wait_for("/readyz")
        with Calls(server) as calls:
            (desk.root / "inbox").mkdir()
            (desk.root / "inbox" / "liuhe.txt").write_text(ARTICLE, encoding="utf-8")
            assert "1 added, 0 left out, 0 refused" in desk.run("data.new_articles", "inbox")
            desk.run("training.review", *data)
            assert fill_in(desk.root / "review.csv") == len(ANSWERS)
            said = desk.run("training.annotate", "review.csv", "--by", "limin", *data)
            assert "3 paragraphs added, 0 changed, 0 confirmed" in said
            after = annotations.read_text(encoding="utf-8").splitlines(keepends=True)
            assert after[:-3] == before
            assert all('"source": "seeds/liuhe.txt"' in line for line in after[-3:])
            said = desk.run("training.retrain", *data, *how)
            assert "## 3 new and corrected paragraphs" in said
            new = version_in_use(desk)
            assert f"duanbiao:{new} is in use; 'make rollback' goes back to duanbiao:{old}" in said
            assert new != old
            wait_until(lambda: calls.models[-1:] == [new], "the service answers with the new version")
            listed = desk.run("models.versions")
            assert f"| duanbiao:{new} | {new} | now |" in listed and f"| duanbiao:{old} | {old} | before |" in listed
            assert f"duanbiao:{old} is in use again" in desk.run("models.versions", "--rollback")
            wait_until(lambda: calls.models[-1:] == [old], "the service answers with the old version")
    finally:
        server.stop()
    assert calls.failed == []
    assert calls.models == [old, new, old]


def version_in_use(desk: Desk) -> str:
    return (desk.models / "current").read_text(encoding="utf-8").split()[0].split(":")[1]
