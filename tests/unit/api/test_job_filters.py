"""The filter of jobs: what clients write becomes conditions in the units of the columns, or an error that names the
field.
"""

from typing import Any

import pytest

from app.api.errors import InvalidArgument
from app.api.graphql.job_filters import (
    AnnotationFilter,
    JobFilter,
    NumberFilter,
    QuantityFilter,
    StringFilter,
    TimeFilter,
    parsed_filter,
)
from app.api.graphql.scalars import DateTime, Quantity
from app.db.queries import job_filter
from app.db.queries.job_filter import NumberRange, TextFilter, TimeRange


def test_quantities_are_counted_in_the_units_of_the_columns() -> None:
    found = parsed_filter(
        JobFilter(
            cpu=QuantityFilter(gt=Quantity("500m"), lte=Quantity("4")),
            memory=QuantityFilter(gte=Quantity("1Gi")),
            gpu=QuantityFilter(eq=Quantity("2")),
        )
    )
    assert found.cpu_milli == NumberRange(above=500, at_most=4_000)
    assert found.memory_bytes == NumberRange(at_least=1 << 30)
    assert found.gpus == NumberRange(any_of=(2,))


def test_bounds_between_whole_numbers_keep_their_meaning() -> None:
    found = parsed_filter(JobFilter(priority=NumberFilter(gt=1.5, gte=1.5, lt=3.5, lte=3.5)))
    assert found.priority == NumberRange(above=1, at_least=2, below=4, at_most=3)
    assert parsed_filter(JobFilter(exit_code=NumberFilter(in_=[1.0, 2.5, 137.0]))).exit_code == NumberRange(
        any_of=(1, 137)
    )


def test_times_texts_and_annotations_are_taken_over() -> None:
    found = parsed_filter(
        JobFilter(
            submitted=TimeFilter(after=DateTime(5_000)),
            owner=StringFilter(eq="alice"),
            node=StringFilter(starts_with="gpu-"),
            annotations=[
                AnnotationFilter(key="team", value=StringFilter(in_=["a", "b"])),
                AnnotationFilter(key="note", exists=True),
            ],
        )
    )
    assert found.submitted == TimeRange(after_ms=5_000)
    assert found.owner == TextFilter(any_of=("alice",))
    assert found.node == TextFilter(starts_with="gpu-")
    assert found.annotations == (
        job_filter.AnnotationFilter(key="team", any_of=("a", "b")),
        job_filter.AnnotationFilter(key="note"),
    )


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"ids": ["nonsense"]}, "filter.ids[0]"),
        ({"cpu": QuantityFilter(gt=Quantity("lots"))}, "filter.cpu.gt"),
        ({"priority": NumberFilter(lt=float("inf"))}, "filter.priority.lt"),
        ({"queues": ["q"] * 1_001}, "filter.queues"),
        ({"owner": StringFilter(in_=["a"] * 1_001)}, "filter.owner.in"),
        ({"pool": StringFilter(starts_with="a", contains="b")}, "filter.pool"),
        ({"annotations": [AnnotationFilter(key="k", exists=False)]}, "filter.annotations[0].exists"),
        (
            {"annotations": [AnnotationFilter(key="k", value=StringFilter(contains="x"))]},
            "filter.annotations[0].value.contains",
        ),
        ({"annotations": [AnnotationFilter(key="k")] * 21}, "filter.annotations"),
    ],
)
def test_what_is_no_filter_is_refused_by_its_field(wanted: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parsed_filter(JobFilter(**wanted))
    assert refused.value.path == field
