"""Quantities, amounts and requests of pods."""

from fractions import Fraction
from typing import Any

import pytest

from app.pods.quantity import (
    NO_RESOURCES,
    QUANTITY_MAX,
    QuantityError,
    Resources,
    add,
    amount_of,
    fits,
    format_amount,
    maximum,
    parse_quantity,
    pod_requests,
    resources_of,
    subtract,
)
from tests.unit.pods.specs import a_container, a_spec, with_resources


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("0", Fraction(0)),
        ("2", Fraction(2)),
        ("+2", Fraction(2)),
        ("-2", Fraction(-2)),
        ("1.5", Fraction(3, 2)),
        ("1.", Fraction(1)),
        (".5", Fraction(1, 2)),
        ("500m", Fraction(1, 2)),
        ("1u", Fraction(1, 10**6)),
        ("1n", Fraction(1, 10**9)),
        ("1k", Fraction(1000)),
        ("1M", Fraction(10**6)),
        ("1G", Fraction(10**9)),
        ("1T", Fraction(10**12)),
        ("1P", Fraction(10**15)),
        ("1E", Fraction(10**18)),
        ("1Ki", Fraction(1024)),
        ("1.5Mi", Fraction(3 * 2**19)),
        ("4Gi", Fraction(2**32)),
        ("1Ti", Fraction(2**40)),
        ("1Pi", Fraction(2**50)),
        ("1Ei", Fraction(2**60)),
        ("1e3", Fraction(1000)),
        ("1E3", Fraction(1000)),
        ("1E+3", Fraction(1000)),
        ("12e-1", Fraction(6, 5)),
        ("9223372036854775807", Fraction(QUANTITY_MAX)),
        (3, Fraction(3)),
        (0.1, Fraction(1, 10)),
        (1e22 / 1e10, Fraction(10**12)),
        (1e-7, Fraction(1, 10**7)),
    ],
)
def test_a_quantity_is_read_exactly(text: str | float, want: Fraction) -> None:
    assert parse_quantity(text) == want


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        "1 Gi",
        " 1",
        "1\n",
        "1K",
        "1ki",
        "1mi",
        "1GI",
        "1e",
        "1e1.5",
        "--1",
        "1..5",
        ".",
        "+",
        "0x10",
        "1_000",
        "١",
        "NaN",
        "inf",
        "1e9999",
        "1e41",
        "1e-41",
        "9223372036854775808",
        "8Ei",
        "-8.1Ei",
        "1" * 65,
        2**63,
        float("nan"),
        float("inf"),
        1e300,
        True,
        None,
        [],
        {},
    ],
)
def test_what_is_not_a_quantity_is_a_typed_error(text: Any) -> None:
    with pytest.raises(QuantityError):
        parse_quantity(text)


def test_the_error_of_a_quantity_names_the_text() -> None:
    with pytest.raises(QuantityError, match="'4 Gb' is not a quantity such as"):
        parse_quantity("4 Gb")


@pytest.mark.parametrize(
    ("resource", "text", "want"),
    [
        ("cpu", "1", 1000),
        ("cpu", "100m", 100),
        ("cpu", "1u", 1),
        ("cpu", 0.1, 100),
        ("cpu", "1.0001", 1001),
        ("memory", "1Gi", 2**30),
        ("memory", "100m", 1),
        ("memory", "1.5", 2),
        ("nvidia.com/gpu", 1, 1),
        ("nvidia.com/gpu", "8", 8),
        ("memory", "0", 0),
        ("cpu", "-1500u", -1),
    ],
)
def test_amounts_are_integers_in_base_units_rounded_up(resource: str, text: str | float, want: int) -> None:
    assert amount_of(resource, text) == want


def test_amounts_of_equal_numbers_of_different_types_do_not_share_a_memo() -> None:
    assert amount_of("cpu", 1) == 1000
    with pytest.raises(QuantityError):
        amount_of("cpu", True)


@pytest.mark.parametrize(
    ("resource", "amount", "want"),
    [
        ("cpu", 1500, "1500m"),
        ("cpu", 2000, "2"),
        ("cpu", 0, "0"),
        ("memory", 4 * 2**30, "4Gi"),
        ("memory", 2**30 + 2**20, "1025Mi"),
        ("memory", 1000, "1000"),
        ("memory", 0, "0"),
        ("hugepages-2Mi", 2**21, "2Mi"),
        ("nvidia.com/gpu", 1024, "1024"),
    ],
)
def test_amounts_are_written_as_short_plain_quantities(resource: str, amount: int, want: str) -> None:
    assert format_amount(resource, amount) == want


def test_resources_drop_zeros_keep_name_order_and_are_values() -> None:
    resources = Resources({"memory": 5, "cpu": 3, "x": 0})
    assert list(resources.items()) == [("cpu", 3), ("memory", 5)]
    assert resources == Resources({"cpu": 3, "memory": 5})
    assert hash(resources) == hash(Resources({"cpu": 3, "memory": 5}))
    assert resources != Resources({"cpu": 3})
    assert resources.get("gpu", 0) == 0
    assert repr(resources_of({"cpu": "500m", "memory": "1Gi"})) == "Resources(cpu=500m, memory=1Gi)"


def test_resources_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        Resources({"cpu": 1})["cpu"] = 2  # type: ignore[index]


def test_sums_differences_and_maxima_go_by_resource() -> None:
    left, right = Resources({"cpu": 3, "memory": 5}), Resources({"cpu": 3, "gpu": 1})
    assert dict(add(left, right)) == {"cpu": 6, "gpu": 1, "memory": 5}
    assert dict(subtract(left, right)) == {"gpu": -1, "memory": 5}
    assert dict(maximum(left, right)) == {"cpu": 3, "gpu": 1, "memory": 5}


def test_need_fits_into_room_that_has_enough_of_everything_needed() -> None:
    assert fits(Resources({"cpu": 2}), Resources({"cpu": 2, "memory": 1}))
    assert not fits(Resources({"cpu": 2}), Resources({"cpu": 1, "memory": 1}))
    assert not fits(Resources({"gpu": 1}), Resources({"cpu": 1}))
    assert fits(NO_RESOURCES, NO_RESOURCES)


def an(cpu: str, *, sidecar: bool = False) -> dict[str, Any]:
    return with_resources({"cpu": cpu}, {"cpu": cpu}, restartPolicy="Always" if sidecar else None)


@pytest.mark.parametrize(
    ("init", "main", "want_cpu"),
    [
        ([], [an("1"), an("500m")], 1500),
        ([an("1")], [an("500m")], 1000),
        ([an("1"), an("3"), an("2")], [an("2")], 3000),
        ([an("1", sidecar=True)], [an("2")], 3000),
        ([an("1", sidecar=True), an("3")], [an("2")], 4000),
        ([an("3"), an("1", sidecar=True)], [an("2")], 3000),
        ([an("1", sidecar=True), an("2", sidecar=True), an("1")], [an("1")], 4000),
        ([an("1", sidecar=True), an("5"), an("2", sidecar=True)], [an("1")], 6000),
    ],
    ids=[
        "containers add up",
        "an init container counts where it is larger",
        "init containers run one by one",
        "a sidecar runs beside the containers",
        "an init container runs beside the sidecars before it",
        "an init container does not meet the sidecars after it",
        "sidecars add up",
        "the largest step of all counts",
    ],
)
def test_a_pod_requests_what_runs_together(init: list[Any], main: list[Any], want_cpu: int) -> None:
    assert pod_requests(a_spec(initContainers=init, containers=main)) == Resources({"cpu": want_cpu})


def test_a_limit_without_request_is_a_request_and_the_overhead_comes_on_top() -> None:
    spec = a_spec(
        containers=[with_resources({"cpu": "1"}, {"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": 1})],
        overhead={"cpu": "250m", "memory": "64Mi"},
    )
    assert pod_requests(spec) == resources_of({"cpu": "1250m", "memory": "1088Mi", "nvidia.com/gpu": "1"})


def test_a_container_without_resources_requests_nothing() -> None:
    assert pod_requests(a_spec(containers=[a_container(resources=None)])) == NO_RESOURCES
