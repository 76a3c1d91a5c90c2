"""What all sections of the settings have in common, and the types of their values."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

KIB = 1024
MIB = 1024 * KIB
MINUTE_S = 60
HOUR_S = 3600
DAY_MS = 24 * HOUR_S * 1000


class Section(BaseModel):
    """Frozen; an unknown key is an error; the text below a field is its documentation."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False, validate_default=True
    )


NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""Of pools, clusters, priority classes: as Kubernetes has it."""
Port = Annotated[int, Field(ge=0, le=65_535)]
"""0 = any free port."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""64 hexadecimal digits in lower case."""
Quantity = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$")]
"""Of Kubernetes: "500m", "4Gi", "8"."""
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
EFFECT_PATTERN = r"^(|NoSchedule|PreferNoSchedule|NoExecute)$"
