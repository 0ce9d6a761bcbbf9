"""Limits come from the environment or not at all."""

import pytest

from serving.limits import Limits, read_limits


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_limits({"PATH": "/bin", "DUANBIAO_MODEL": "released"}) == Limits()


def test_a_variable_sets_its_limit_and_no_other() -> None:
    assert read_limits({"DUANBIAO_MAX_BODY_BYTES": "1000"}) == Limits(body_bytes=1000)


@pytest.mark.parametrize("value", ["", "0", "-1", "1.5", "1e3", "ten", " 5", "٥", "1" * 5000])
def test_a_wrong_value_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"^DUANBIAO_MAX_TOKENS: .* is not a whole number from 1 to 999999999"):
        read_limits({"DUANBIAO_MAX_TOKENS": value})


def test_a_misspelt_variable_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^DUANBIAO_MAX_TOKEN: no such limit; known are .*DUANBIAO_MAX_TOKENS"):
        read_limits({"DUANBIAO_MAX_TOKEN": "5"})
