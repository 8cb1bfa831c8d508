"""decoder.json and scores.json, beside plan.yaml and the weights in a model folder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pytc_auto.schema.document import Document


class DecoderChoice(Document):
    """The decoder and the parameters that did best on validation data."""

    format_version: Literal[1] = 1
    kind: Literal["agglomerate", "mutex", "seeded", "argmax", "polarity"]
    parameters: dict[str, float]


class ModelScores(Document):
    """How each member did on its validation data, and the whole curve of the decoder's search."""

    format_version: Literal[1] = 1
    metric: str
    refit: bool = Field(description="whether the exported weights learned from the held-out data after these scores were taken")
    folds: dict[int, dict[str, float]]
    search: list[dict[str, float | str]]
