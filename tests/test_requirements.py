"""The locks say what pyproject.toml says, and `make` installs from them."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
# CUDA packages come with the CUDA build of torch, which is not locked.
NOT_LOCKED = re.compile(r"torch|triton|cuda-.*|nvidia-(?!ml-py).*")


def read_lock(extra: str) -> dict[str, set[str]]:
    """Return the versions of each package in a lock: several where they differ by Python."""
    text = (ROOT / "requirements" / f"{extra}.txt").read_text(encoding="utf-8")
    versions: dict[str, set[str]] = {}
    for entry in re.split(r"\n(?=[a-z0-9])", text)[1:]:
        pinned = re.match(r"([a-z0-9.-]+)==(\S+)( ; [^\n\\]+)? \\\n    --hash=sha256:[0-9a-f]{64}", entry)
        assert pinned, f"not pinned with a hash: {entry[:80]}"
        versions.setdefault(pinned[1], set()).add(pinned[2])
    return versions


def pins_of(extra: str) -> set[Requirement]:
    """Return what an extra asks for, with the extras that it includes."""
    pins = {Requirement(line) for line in PROJECT["project"]["dependencies"]}
    for requirement in map(Requirement, EXTRAS[extra]):
        if requirement.name == "duanbiao":
            pins |= set().union(*(pins_of(part) for part in requirement.extras))
        else:
            pins.add(requirement)
    return pins


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_lock_has_every_pin(extra: str) -> None:
    lock = read_lock(extra)
    for pin in pins_of(extra):
        if pin.name != "torch":
            assert lock.get(canonicalize_name(pin.name)) == {str(pin.specifier).removeprefix("==")}, f"{pin}: make lock"


@pytest.mark.parametrize("extra", EXTRAS)
def test_all_extras_fit_into_one_environment(extra: str) -> None:
    everything = read_lock("dev")
    assert everything.items() >= read_lock(extra).items()


@pytest.mark.parametrize("extra", EXTRAS)
def test_no_lock_holds_torch_or_cuda(extra: str) -> None:
    assert not [name for name in read_lock(extra) if NOT_LOCKED.fullmatch(name)]


def test_what_torch_needs_is_locked() -> None:
    (said,) = PROJECT["tool"]["uv"]["dependency-metadata"]
    assert f"{said['name']}=={said['version']}" in EXTRAS["train"]
    needed = {Requirement(line) for line in requires("torch") or ()}
    names = {canonicalize_name(need.name) for need in needed if not (need.marker and "extra" in str(need.marker))}
    assert {name for name in names if not NOT_LOCKED.fullmatch(name)} == set(said["requires-dist"])
    assert names & read_lock("train").keys() == set(said["requires-dist"])


def test_the_build_backend_is_locked() -> None:
    assert PROJECT["build-system"]["requires"] == PROJECT["dependency-groups"]["build"]
    (pin,) = map(Requirement, PROJECT["build-system"]["requires"])
    assert read_lock("serve")[pin.name] == {str(pin.specifier).removeprefix("==")}


@pytest.mark.parametrize("extra", EXTRAS)
def test_make_installs_from_the_lock_alone(extra: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--dry-run", "--always-make", "VENV=none", f"none/.{extra}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)
    installs = [line.split(" install --quiet ")[1] for line in done.stdout.splitlines() if " install " in line]
    torch = [pin for pin in EXTRAS["train"] if pin.startswith("torch==")] if extra in ("train", "dev") else []
    assert installs == [
        f"--require-hashes --no-deps --requirement requirements/{extra}.txt",
        *torch,
        "--no-deps --no-build-isolation --editable .",
    ]


def test_serving_installs_no_licence_that_was_not_looked_at() -> None:
    names = read_lock("serve")
    done = subprocess.run(
        [sys.executable, "-m", "piplicenses", "--packages", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    allowed = [line.strip().rstrip(";") for line in PROJECT["tool"]["pip-licenses"]["allow-only"].split("\n") if line]
    assert [licence for licence in allowed if re.search("GPL|General Public|UNKNOWN", licence)] == [
        # tld: its user chooses, here the first.
        "MPL-1.1 OR GPL-2.0-only OR LGPL-2.1-or-later"
    ]
