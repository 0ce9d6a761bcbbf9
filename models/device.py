"""Where the network runs: DUANBIAO_DEVICE is `auto` (a GPU if there is one and torch can use it), `cpu` or `cuda`."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

VARIABLE = "DUANBIAO_DEVICE"
# One of them is there where NVIDIA's driver is loaded, the second under Windows.
DRIVER_FILES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))

Device = Literal["cpu", "cuda"]


def choose_device(environment: Mapping[str, str]) -> Device:
    """Return the device that this environment asks for.

    Raises:
        ValueError: it asks for a device that is unknown or not usable; the message says why.
    """
    wanted = environment.get(VARIABLE) or "auto"
    if wanted not in ("auto", "cpu", "cuda"):
        raise ValueError(f"{VARIABLE}: {wanted!r} is none of auto, cpu, cuda")
    if wanted == "cpu":
        return "cpu"
    missing = _missing_for_cuda()
    if missing is None:
        return "cuda"
    if wanted == "cuda":
        raise ValueError(f"{VARIABLE}: cuda cannot be used, {missing}; mend that, or use cpu")
    return "cpu"


def _missing_for_cuda() -> str | None:
    """Return what keeps a GPU from being used, None if nothing does."""
    # Looked at first: torch takes seconds to import, and most machines have no GPU.
    if not any(file.exists() for file in DRIVER_FILES):
        return "no driver of a GPU is loaded"
    if find_spec("torch") is None:
        return "torch is not installed ('make setup' does it)"
    import torch

    return None if torch.cuda.is_available() else "torch finds no GPU that it can use"
