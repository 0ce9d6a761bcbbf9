"""All that one run measures."""

from dataclasses import dataclass, field
from typing import Any

from bench.corpus import Work
from bench.footprint import NONE, Memory
from bench.load import Load


@dataclass(frozen=True)
class InProcess:
    """One engine on some cores."""

    paragraphs: int
    seconds: float
    peak_memory: int

    @property
    def rate(self) -> float:
        """Paragraphs a second."""
        return self.paragraphs / self.seconds


@dataclass
class Figures:
    """Filled step by step."""

    work: Work
    in_process: dict[tuple[str, int], InProcess] = field(default_factory=dict)
    """By engine and cores."""
    agreement: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)
    """Seconds a paragraph, by step of a request."""
    http: dict[tuple[int, int], Load] = field(default_factory=dict)
    """Ours, by clients and paragraphs a request."""
    rivals: dict[str, Load | str] = field(default_factory=dict)
    """Servers of others by name; a text says why there is none."""
    ceilings: list[dict[str, Any]] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    """Seconds from each start until ready."""
    idle: Memory = NONE
    """Of all processes of the service, before any request."""
    loaded: Memory = NONE
    """The same after the load."""
    worker: Memory = NONE
    """Of these, the one that tags."""
    installed: tuple[int, int] = (0, 0)
    """Packages, bytes."""
