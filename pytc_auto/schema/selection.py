"""selection.json: which model or ensemble ``pytc select`` chose, and from what."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pytc_auto.schema.document import Document, Part
from pytc_auto.schema.model import DecoderChoice


class SelectedMember(Part):
    """A model that predicts with the others."""

    name: str = Field(description="of its run")
    folder: str = Field(pattern=r"^(\.|members/[^/.][^/]*)$", description="of the model, from the selection's own")


class Contender(Part):
    """A single model or an ensemble, and how it did with the decoder that was tuned for it."""

    members: list[str] = Field(min_length=1)
    decoder: DecoderChoice
    merit: float = Field(description="by the metric, higher is better")
    scores: dict[str, float] = Field(description="on held-out data, mean over the folds")


class Selection(Document):
    """The models that are averaged and their decoder; all that were compared, on the same held-out data."""

    format_version: Literal[1] = 1
    metric: str
    folds: list[int] = Field(description="on whose held-out data all were compared")
    refit: bool = Field(description="whether weights of a member learned from the held-out data after it was scored")
    members: list[SelectedMember] = Field(min_length=1)
    decoder: DecoderChoice
    contenders: list[Contender] = Field(min_length=1, description="the best first")
