"""decoder.json and scores.json, beside plan.yaml and the weights in a model folder."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, NonNegativeInt, model_validator

from pytc_auto.schema.document import Document, Part

DecoderKind = Literal["agglomerate", "mutex", "seeded", "argmax", "polarity", "components"]


class DecoderChoice(Document):
    """The decoder and the parameters that did best on validation data."""

    format_version: Literal[1] = 1
    kind: DecoderKind
    parameters: dict[str, float]


class TriedDecoder(Part):
    """A decoder of the plan's grid, and how it did on validation data."""

    kind: DecoderKind
    parameters: dict[str, float]
    merit: float = Field(description="by the plan's metric, higher is better")
    scores: dict[str, float]


class ModelScores(Document):
    """How each member did on its validation data, and the whole curve of the decoder's search."""

    format_version: Literal[1] = 1
    metric: str
    merge_thresholds: list[NonNegativeInt] | None = Field(
        None,
        description="nodes of a second skeleton that make a segment no merger yet: 0 for nerl, K for nerl_K; null: no skeletons",
    )
    refit: bool = Field(description="whether the exported weights learned from the held-out data after these scores were taken")
    folds: dict[int, dict[str, float]]
    search: list[TriedDecoder] = Field(min_length=1, description="mean over the folds, in the order in which they were tried")
    chosen: NonNegativeInt = Field(description="the row of the search that is exported, from 0")

    @model_validator(mode="after")
    def _chosen_was_tried(self) -> Self:
        if self.chosen >= len(self.search):
            raise ValueError(f"chosen is row {self.chosen}, but search has {len(self.search)} rows, counted from 0")
        return self


class StartedFrom(Document):
    """started_from.json in a fold's folder: the model whose weights it began with. It stays with the run."""

    format_version: Literal[1] = 1
    model: str = Field(description="its folder")
    member: NonNegativeInt = Field(description="the fold of that model")
    weights: str = Field(description="SHA-256 of the file")
    seen: bool | None = Field(
        description="whether it, or what it was started from, has learned from what the fold holds out; null: cannot be told"
    )
