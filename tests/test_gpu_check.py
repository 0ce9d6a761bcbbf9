from pathlib import Path

import pytest

from models import device, tagger
from models.gpu_runtime import GpuRuntime
from models.tagger import Tagger, Tags
from serving import gpu_check
from serving.gpu_check import compare


def tags(*topics: str, score: float = 0.5) -> Tags:
    return Tags("topics", topics, {"party": score, "rural": 0.5}, {}, False)


def test_topics_that_only_one_gives_are_counted() -> None:
    found = compare([tags("party"), tags(), tags("rural")], [tags("party"), tags("rural"), tags("party", score=0.75)])
    assert (found.decisions, found.different, found.largest) == (6, 3, 0.25)
    assert not found.good
    assert compare([tags()] * 400, [tags()] * 399 + [tags("party")]).good


def test_without_a_gpu_it_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(device, "DRIVER_FILES", (tmp_path / "driver",))
    assert gpu_check.main([]) == 1
    assert "no driver of a GPU is loaded" in capsys.readouterr().err


def test_the_engine_for_a_gpu_tags_as_the_other(
    tiny_artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the processor, by the code that runs on a GPU."""
    for question in ("_not_installed", "_not_usable"):
        monkeypatch.setattr(device, question, lambda: None)
    monkeypatch.setattr(gpu_check, "REPEATS", 1)
    load = Tagger._load_network
    monkeypatch.setattr(
        tagger.Tagger,
        "_load_network",
        lambda self, path: GpuRuntime(path, "cpu") if self.device == "cuda" else load(self, path),
    )
    # The tiny network's weights are so large that roundings show: whether few tags differ is not asked of it.
    monkeypatch.setattr(gpu_check, "MAX_DIFFERENT", 0.05)
    assert gpu_check.main(["--model", f"{tiny_artifact}/"]) == 0
    said = capsys.readouterr().out
    assert "of 2,490" in said and "cuda: " in said and "paragraphs a second" in said
