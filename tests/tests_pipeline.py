from __future__ import annotations

import h5py
import pytest
from samples import CPU

from pytc_auto.phantom import make_phantom

SIZE = (12.0, 12.0, 12.0)


def write(folder, name, shape, seed, *, size=SIZE, kind="neurons"):
    """A phantom as HDF5 files in images/ and labels/."""
    tissue = make_phantom(shape, size, seed=seed)
    labels = tissue.neurons_zyx if kind == "neurons" else tissue.classes_zyx
    for sub, array in (("images", tissue.image_zyx), ("labels", labels)):
        (folder / sub).mkdir(parents=True, exist_ok=True)
        with h5py.File(folder / sub / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=array).attrs["resolution"] = size


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A machine that is not timed, and a plan of a few steps of a small network."""
    from pytc_auto.pipeline import planning

    def small(fingerprint, max_seconds, make, *_):
        machine = CPU.replace(precision="fp32", seconds=max_seconds or 1800.0)
        plan = make(fingerprint, machine)
        divisor = plan.network.divisor
        patch = tuple(max(d, min(n, 24) // d * d) for n, d in zip(plan.patch, divisor, strict=True))
        heads = [
            h.replace(offsets=[o for o in h.offsets if max(map(abs, o)) == 1]) if h.kind == "affinities" else h
            for h in plan.heads
        ]
        return plan.replace(
            patch=patch,
            heads=heads,
            network=plan.network.replace(features=[4 * 2 ** min(i, 2) for i in range(len(plan.network.features))]),
            sampling=plan.sampling.replace(steps=4, validate_every=2, refit_steps=2),
            augmentation=plan.augmentation.replace(symmetries=1),
            folds=plan.folds.replace(guard=4) if plan.folds.kind == "slab" else plan.folds,
            inference=plan.inference.replace(block=tuple(2 * n for n in patch)),
            decoder=plan.decoder.replace(grid={k: v[:2] for k, v in plan.decoder.grid.items()}),
        )

    monkeypatch.setattr(planning, "_plan_for_this_machine", small)


@pytest.fixture(autouse=True)
def undrawn(request, monkeypatch):
    """Pictures are written, but stay blank but for tests marked so: drawing takes half of the time of so short a training."""
    from matplotlib.figure import Figure

    if request.node.get_closest_marker("drawn") is None:
        monkeypatch.setattr(Figure, "draw", lambda *_: None)
