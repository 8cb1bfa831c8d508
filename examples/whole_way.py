"""The whole way in Python: synthetic tissue, plan, train, predict, evaluate."""

from __future__ import annotations

import sys
from pathlib import Path

import pytc_auto
from pytc_auto.pipeline.demo import write_phantom


def main(folder: Path, *, minutes: float = 5.0, shape: tuple[int, int, int] = (128, 192, 192)) -> dict[str, float]:
    """Scores of a volume that training never saw."""
    write_phantom(folder / "train", "tissue", shape, seed=1)
    write_phantom(folder / "test", "unseen", shape, seed=2)
    planned = pytc_auto.plan(folder / "train", name="example", runs=folder / "runs", max_seconds=60 * minutes)
    trained = pytc_auto.train("example", runs=folder / "runs")
    (segmentation,) = pytc_auto.predict([folder / "test/images/unseen.h5"], model=trained.run.model, out=folder / "unseen.zarr")
    print(planned.plan.patch, trained.scores)
    return pytc_auto.evaluate(segmentation, folder / "test/labels/unseen.h5")


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))
