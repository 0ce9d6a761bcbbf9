"""The README keeps up with the code."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from serving.limits import PREFIX, Limits

ROOT = Path(__file__).resolve().parent.parent
TARGETS = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
READMES = ["README.md", "README.zh.md"]


@pytest.mark.parametrize("name", READMES)
def test_the_readme_names_the_targets_that_users_need(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in (
        "serve",
        "tag",
        "summary",
        "split",
        "add",
        "review",
        "annotate",
        "train",
        "retrain",
        "models",
        "rollback",
        "evaluate",
        "compare",
        "simulate",
        "check",
        "test",
        "format",
        "lock",
        "bento",
        "audit",
        "attack",
        "bench",
        "scale",
    ):
        assert target in TARGETS
        assert re.search(rf"make [a-z ]*\b{target}\b", text), target


@pytest.mark.parametrize("name", READMES)
def test_the_readme_lists_every_limit_with_its_default(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for field in fields(Limits):
        row = next(line for line in text.splitlines() if line.startswith(f"| `{PREFIX}{field.name.upper()}`"))
        assert f"| {field.default} |" in row


@pytest.mark.parametrize("name", READMES)
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert link.startswith("http") or (ROOT / link).exists(), link


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for requirement in (*project["dependencies"], *extras["serve"], *extras["ray"], *extras["train"], *extras["dev"]):
        assert "==" in requirement or requirement.startswith("duanbiao["), requirement
