"""What an observation is made of."""

from pydantic import BaseModel, ConfigDict


class Fact(BaseModel):
    """Base of everything observed."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
