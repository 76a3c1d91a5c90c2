"""What time series are reckoned from: depths back from now, quantiles out of bins."""

import pytest

from app.db.queries.throughput import _levels, _quantile


def test_depths_are_reckoned_back_from_what_stands_now() -> None:
    assert _levels([2, 3, -1, 0], now=4) == [2, 5, 4, 4]


def test_a_depth_is_never_below_nothing() -> None:
    assert _levels([5, 5], now=3) == [0, 3]


@pytest.mark.parametrize(("share", "bin_"), [(0.5, 8), (0.9, 12), (0.99, 20)])
def test_a_quantile_is_the_middle_of_its_bin(share: float, bin_: int) -> None:
    bins = [(4, 10), (8, 50), (12, 35), (20, 5)]
    assert _quantile(bins, share) == pytest.approx(2 ** ((bin_ + 0.5) / 4))
