"""Properties of quantities and amounts."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from app.pods.quantity import (
    AMOUNT_MAX,
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

RESOURCE_NAMES = st.sampled_from(["cpu", "memory", "ephemeral-storage", "hugepages-2Mi", "nvidia.com/gpu"])
AMOUNTS = st.integers(0, AMOUNT_MAX)
SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-3", "e+12"]
SCALES = [
    Fraction(1), Fraction(1, 10**9), Fraction(1, 10**6), Fraction(1, 1000), *(Fraction(1000**n) for n in range(1, 7)),
    *(Fraction(1024**n) for n in range(1, 7)), Fraction(1000), Fraction(1, 1000), Fraction(10**12),
]  # fmt: skip
NUMBERS = st.tuples(st.integers(0, 10**9), st.integers(0, 9)).map(lambda parts: f"{parts[0]}.{parts[1]}")
QUANTITIES = st.tuples(NUMBERS, st.sampled_from(SUFFIXES)).map("".join)
RESOURCES = st.dictionaries(RESOURCE_NAMES, AMOUNTS).map(Resources)


@given(NUMBERS, st.integers(0, len(SUFFIXES) - 1))
def test_a_suffix_scales_exactly(number: str, suffix: int) -> None:
    want = Fraction(number) * SCALES[suffix]
    if want <= QUANTITY_MAX:
        assert parse_quantity(number + SUFFIXES[suffix]) == want


@given(RESOURCE_NAMES, AMOUNTS)
def test_an_amount_written_and_read_is_the_same(name: str, amount: int) -> None:
    assert amount_of(name, format_amount(name, amount)) == amount


@given(RESOURCE_NAMES, QUANTITIES, QUANTITIES)
def test_amounts_keep_the_order_of_quantities(name: str, left: str, right: str) -> None:
    try:
        exact = parse_quantity(left), parse_quantity(right)
    except QuantityError:
        return
    if exact[0] <= exact[1]:
        assert amount_of(name, left) <= amount_of(name, right)


@given(RESOURCE_NAMES, QUANTITIES)
def test_an_amount_is_never_less_than_the_quantity_and_less_than_one_unit_more(name: str, text: str) -> None:
    try:
        exact = parse_quantity(text) * (1000 if name == "cpu" else 1)
    except QuantityError:
        return
    assert exact <= amount_of(name, text) < exact + 1


@given(st.just(0.0) | st.floats(1e-30, 1e15))
def test_a_number_is_read_as_json_writes_it(number: float) -> None:
    assert parse_quantity(number) == Fraction(repr(number))


@given(st.text(max_size=12) | st.text(alphabet="0123456789.eE+-mkKMGiun ", max_size=12))
def test_any_text_is_a_quantity_or_a_typed_error(text: str) -> None:
    try:
        value = parse_quantity(text)
    except QuantityError:
        return
    assert abs(value) <= QUANTITY_MAX


@given(RESOURCES, RESOURCES, RESOURCES)
def test_resources_add_up_like_numbers(a: Resources, b: Resources, c: Resources) -> None:
    assert add(a, b) == add(b, a)
    assert add(add(a, b), c) == add(a, add(b, c))
    assert subtract(add(a, b), b) == a
    assert maximum(a, b) == maximum(b, a)
    assert fits(a, maximum(a, b))
    assert fits(a, b) == (maximum(a, b) == b)


@given(RESOURCES)
def test_resources_are_read_back_from_their_quantities(resources: Resources) -> None:
    assert resources_of({name: format_amount(name, resources[name]) for name in resources}) == resources


@st.composite
def pods(draw: st.DrawFn) -> tuple[list[tuple[bool, int]], list[int]]:
    """Init containers (is a sidecar, milli-cpu) and main containers (milli-cpu)."""
    milli = st.integers(0, 5000)
    return draw(st.lists(st.tuples(st.booleans(), milli), max_size=5)), draw(st.lists(milli, min_size=1, max_size=4))


@given(pods())
def test_a_pod_requests_the_peak_of_a_simulated_start(pod: tuple[list[tuple[bool, int]], list[int]]) -> None:
    init, main = pod
    running = peak = 0
    for sidecar, milli in init:
        peak = max(peak, running + milli)
        running += milli if sidecar else 0
    peak = max(peak, running + sum(main))

    def container(milli: int, sidecar: bool = False) -> dict[str, object]:
        node: dict[str, object] = {"resources": {"requests": {"cpu": f"{milli}m"}}}
        return node | ({"restartPolicy": "Always"} if sidecar else {})

    spec: dict[str, object] = {
        "initContainers": [container(milli, sidecar) for sidecar, milli in init],
        "containers": [container(milli) for milli in main],
    }
    assert pod_requests(spec) == Resources({"cpu": peak})
