from pathlib import Path

import pytest

from models import device
from models.device import VARIABLE, choose_device, refuse_missing_device


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a driver, which is not there yet."""
    monkeypatch.setattr(device, "DRIVER_FILES", (tmp_path / "driver",))
    return tmp_path / "driver"


def test_a_machine_without_a_gpu_takes_its_processor(driver: Path) -> None:
    assert choose_device({}) == choose_device({VARIABLE: "auto"}) == choose_device({VARIABLE: "cpu"}) == "cpu"


def test_a_gpu_is_taken_where_torch_finds_it(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.touch()
    for usable, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr("torch.cuda.is_available", lambda usable=usable: usable)
        assert choose_device({}) == expected
    assert choose_device({VARIABLE: "cpu"}) == "cpu"


def test_torch_may_be_missing(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.touch()
    monkeypatch.setattr(device, "find_spec", lambda _: None)
    assert choose_device({}) == "cpu"
    with pytest.raises(ValueError, match="DUANBIAO_DEVICE: cuda cannot be used, torch is not installed"):
        choose_device({VARIABLE: "cuda"})


def test_what_cannot_be_is_refused(driver: Path) -> None:
    with pytest.raises(ValueError, match="no driver of a GPU is loaded; mend that, or use cpu"):
        choose_device({VARIABLE: "cuda"})
    with pytest.raises(ValueError, match="DUANBIAO_DEVICE: 'gpu' is none of auto, cpu, cuda"):
        choose_device({VARIABLE: "gpu"})


@pytest.mark.parametrize("asked", ["", "auto", "cpu"])
def test_nothing_is_missing_where_no_gpu_is_asked_for(driver: Path, asked: str) -> None:
    refuse_missing_device({VARIABLE: asked})


def test_a_missing_gpu_shows_before_torch_is_asked(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no driver of a GPU is loaded; mend that, or use cpu"):
        refuse_missing_device({VARIABLE: "cuda"})
    with pytest.raises(ValueError, match="'gpu' is none of auto, cpu, cuda"):
        refuse_missing_device({VARIABLE: "gpu"})
    driver.touch()
    monkeypatch.setattr("torch.cuda.is_available", lambda: pytest.fail("torch was asked"))
    refuse_missing_device({VARIABLE: "cuda"})
