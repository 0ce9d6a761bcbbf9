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
    wanted = _wanted(environment)
    if wanted == "cpu":
        return "cpu"
    missing = _not_installed() or _not_usable()
    if missing is None:
        return "cuda"
    if wanted == "cuda":
        raise _unusable(missing)
    return "cpu"


def refuse_missing_device(environment: Mapping[str, str]) -> None:
    """Refuse a device that cannot be used, as far as that shows without torch.

    A process that asks torch for its GPU cannot be copied any more.

    Raises:
        ValueError: it is unknown, or its driver or torch is missing; the message says which.
    """
    if _wanted(environment) == "cuda" and (missing := _not_installed()):
        raise _unusable(missing)


def _wanted(environment: Mapping[str, str]) -> str:
    wanted = environment.get(VARIABLE) or "auto"
    if wanted not in ("auto", "cpu", "cuda"):
        raise ValueError(f"{VARIABLE}: {wanted!r} is none of auto, cpu, cuda")
    return wanted


def _unusable(missing: str) -> ValueError:
    return ValueError(f"{VARIABLE}: cuda cannot be used, {missing}; mend that, or use cpu")


def _not_installed() -> str | None:
    """Return what a GPU needs and this machine has not, None if nothing."""
    # Looked at first: torch takes seconds to import, and most machines have no GPU.
    if not any(file.exists() for file in DRIVER_FILES):
        return "no driver of a GPU is loaded"
    return None if find_spec("torch") else "torch is not installed ('make setup' does it)"


def _not_usable() -> str | None:
    import torch

    return None if torch.cuda.is_available() else "torch finds no GPU that it can use"
