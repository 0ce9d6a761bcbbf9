"""A short run of `make attack`: overload, hostile clients and faults, on a real server with a tiny model."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from attack import faults, hostile, overload
from attack.bounds import Finding, table
from attack.load import Truth
from running_server import Server, wait_until

from models import store
from models.artifact import LEXICON_FILE, MODEL_FILE

pytestmark = pytest.mark.slow

# Some dozens of windows each: work enough for requests to meet.
TEXTS = [unit * 150 for unit in ("安全生产检查，排查隐患。", "直播带货，乡村振兴。", "党建工作会议召开，统一战线。")]


@dataclass
class Place:
    """A running service and what belongs to it."""

    server: Server
    truth: Truth
    models: Path
    """The folder that DUANBIAO_MODELS names."""
    model: Path
    """The model in use."""


@pytest.fixture(scope="module")
def place(tiny_artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A service with narrow limits, so that they are soon reached. The last test ends it."""
    models = tmp_path_factory.mktemp("models")
    model = shutil.copytree(tiny_artifact, models / "mine")
    store.promote(str(model), models / "current")
    limits = {"HEADER_SECONDS": 1, "BODY_SECONDS": 1, "ANSWER_SECONDS": 1, "CONNECTIONS": 512, "REQUESTS": 20}
    variables = {f"DUANBIAO_MAX_{name}": str(value) for name, value in limits.items()}
    home = tmp_path_factory.mktemp("attack") / "home"
    server = Server(home, DUANBIAO_MODELS=str(models), **variables)
    try:
        server.wait_for("/readyz")
        yield Place(server, Truth(model, TEXTS), models, model)
    finally:
        server.stop()


def assert_held(found: list[Finding]) -> None:
    assert found and all(one.holds for one in found), table(found)


def test_hostile_clients_are_closed_and_others_answered(place: Place) -> None:
    assert_held(list(hostile.attack(place.server, place.truth)))


def test_an_overload_is_refused_and_answers_stay_right(place: Place) -> None:
    # How fast and how large a process is depends on what else the machine does: `make attack` looks at that.
    right = ("200, 429", "429 and 503 without", "unlike the offline", "meanwhile")
    found = list(overload.attack(place.server, place.truth, seconds=5, measure_seconds=2))
    assert_held([one for one in found if any(part in one.what + one.bound for part in right)])


def test_a_model_damaged_in_place_stays_in_use(place: Place) -> None:
    assert_held(list(faults.damage_in_place(place.server, place.truth, place.model, [MODEL_FILE, LEXICON_FILE])))


def test_a_full_disk_leaves_nothing_half_behind(place: Place) -> None:
    assert_held([faults.disk_full(place.server, place.truth, place.model, place.models)])


def test_a_killed_worker_is_replaced(place: Place) -> None:
    assert_held([faults.kill_worker(place.server, place.truth)])


def test_a_model_damaged_at_start_is_taken_up_when_mended(place: Place, tiny_artifact: Path, tmp_path: Path) -> None:
    assert_held([faults.damaged_at_start(tmp_path / "home", place.truth, tiny_artifact)])


def test_what_was_taken_is_answered_when_the_service_ends(place: Place) -> None:
    wait_until(lambda: place.server.worker() != 0, "there is a worker")
    assert_held([faults.terminate(place.server, place.truth)])
