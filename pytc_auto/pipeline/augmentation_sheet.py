"""``pytc view --augment``: every effect on the user's own data, on one sheet."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pytc_auto.errors import OutputError
from pytc_auto.geometry import Box, ZyxFloat, cutting_axis, zyx
from pytc_auto.pipeline.planning import default_name, look
from pytc_auto.pipeline.runs import Run, find_run
from pytc_auto.planning.augmentation import every_effect
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.planner import make_plan
from pytc_auto.progress import Progress, silent, walked
from pytc_auto.report.contact_sheet import Panel, Row, contact_sheet
from pytc_auto.report.pictures import overlay
from pytc_auto.schema.augmentation import Augmentation, Effects
from pytc_auto.schema.dataset import Dataset
from pytc_auto.schema.fingerprint import SectionFacts
from pytc_auto.schema.plan import Plan

if TYPE_CHECKING:
    from pytc_auto.augment.crop import Crop

Array = npt.NDArray[Any]
DRAWS = 3
MOST_TRIES = 60
"""An effect may miss the section that is shown."""
SEEN = 0.3
"""Change of a gray value that is seen."""
WINDOW = (-2.5, 2.5)
"""Gray values shown black and white, in standard deviations of the data."""
MOST_EXTENT = 144
"""Voxels of a panel."""
MEMORY = 2e9
PER_SECTION = 0.4
"""Probability of those effects here, that the sections beside are seen as they were."""
BY_SECTION = frozenset({"stripes", "out_of_focus", "motion_blur", "fold", "artifact", "missing_section"})
HEADINGS = ("as it is", *("drawn",) * DRAWS, "across the sections")


@dataclass(frozen=True)
class _Ground:
    """What the effects are shown on."""

    plan: Plan
    dataset: Dataset
    sections: SectionFacts
    cache: Path


def augmentation_sheet(
    what: str | Path,
    path: str | Path,
    *,
    runs: str | Path = "runs",
    voxel_size_nm: ZyxFloat | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> Path:
    """Draw a contact sheet of every effect there is, as strong as it would be for these data.

    Args:
        what: A data folder, which need not be planned, a plan file, or a run's name.
        path: PNG to write.
        runs: Folder of all runs.
        voxel_size_nm: (z, y, x), where the files of a data folder do not tell.
        say: Told what is being done.
        progress: Told how far the reading of the volumes and the drawing of the effects are.

    Raises:
        DataError: The data cannot be read, or hold no labels.
        PlanError: There is no such run.
        OutputError: The sheet is not called .png.
    """
    if Path(path).suffix.lower() != ".png":
        raise OutputError(f"{path}: the sheet is a PNG picture. Give it a name that ends in .png.")
    with tempfile.TemporaryDirectory() as folder:
        say("Looking at the data")
        ground = _ground(what, Path(runs), Path(folder), voxel_size_nm, progress)
        say("Drawing the effects")
        rows = list(_rows(ground, progress))
    contact_sheet(rows, HEADINGS, Path(path), title=f"How {ground.plan.name} may be varied", window=WINDOW)
    return Path(path)


def _ground(what: str | Path, runs: Path, folder: Path, voxel_size_nm: ZyxFloat | None, progress: Progress) -> _Ground:
    """A run's plan; of data, planned or not, the plan for a small machine."""
    data = Path(what)
    if data.exists() and data.suffix not in (".yaml", ".yml") and not (data / "plan.yaml").is_file():
        looked = look(data, Run(folder / default_name(data)), voxel_size_nm=voxel_size_nm, progress=progress)
        fingerprint = looked.measured.fingerprint
        return _Ground(make_plan(fingerprint, PRESETS["S"]), looked.dataset, fingerprint.sections, folder)
    run = find_run(what, runs)
    return _Ground(run.plan(), run.dataset(), run.fingerprint().sections, run.cache)


def _rows(ground: _Ground, progress: Progress) -> Iterator[Row]:
    """One row per effect, in the order in which they are applied, all of the same section."""
    from pytc_auto.augment.effects import GRAY_EFFECTS
    from pytc_auto.data.crops import CropDataset
    from pytc_auto.data.volumes import open_volumes, whole_regions

    plan = ground.plan
    volumes = open_volumes(ground.dataset, plan, MEMORY, cache=ground.cache)
    region = max(whole_regions(volumes), key=lambda r: r.box.size)
    read, box = partial(CropDataset(volumes, plan, [region]).read, region), _middle(region.box)
    size = plan.working_voxel_size_nm
    every = every_effect(ground.sections, size, plan.patch)
    for name, _ in zip(Effects.model_fields, walked("effects", progress, [box] * len(Effects.model_fields)), strict=True):
        effect, state = getattr(every, name), "off" if getattr(plan.augmentation.effects, name) is None else "in the plan"
        shown = Effects(**{name: effect.replace(probability=PER_SECTION if name in BY_SECTION else 1.0)})
        crops = [read(box), *islice(_seen(shown, read, box, size), DRAWS)]
        panels = [_panel(crop, cutting_axis(size), size, labels=name not in GRAY_EFFECTS) for crop in crops]
        if len(crops) == 1:
            state += ", not seen here"
        panels += [panels[0]] * (DRAWS + 1 - len(panels))
        across = next(i for i in range(3) if i != cutting_axis(size))
        panels.append(_panel(crops[-1], across, size, labels=name not in GRAY_EFFECTS))
        yield Row(name.replace("_", " "), f"{state}, {_note(effect.model_dump())}", panels)


def _seen(effects: Effects, read: Callable[[Box], Crop], box: Box, size: ZyxFloat) -> Iterator[Crop]:
    """Crops in whose middle section the effect is seen."""
    from pytc_auto.augment.compose import apply_effects, draw_effects, source_box
    from pytc_auto.geometry import Symmetry

    augmentation = Augmentation(symmetries=1, effects=effects)
    before = _middle_section(read(box), cutting_axis(size))
    for seed in range(MOST_TRIES):
        draw = draw_effects(augmentation, [Symmetry()], size, box.shape, np.random.default_rng(seed))
        crop = apply_effects(read(source_box(draw, box)), draw)
        if np.abs(_middle_section(crop, cutting_axis(size)) - before).max() > SEEN:
            yield crop


def _middle(box: Box) -> Box:
    """The middle of a box, as large as a panel shows."""
    shape = [min(n, MOST_EXTENT) for n in box.shape]
    return Box.of_shape(zyx(shape), [a + (n - k) // 2 for a, n, k in zip(box.start, box.shape, shape, strict=True)])


def _middle_section(crop: Crop, axis: int) -> Array:
    return np.take(crop.image_zyx, crop.shape[axis] // 2, axis)


def _panel(crop: Crop, along: int, size: ZyxFloat, *, labels: bool) -> Panel:
    """The plane in the middle of an axis; gray, or with labels in color."""
    image, ids = (np.take(array, crop.shape[along] // 2, along) for array in (crop.image_zyx, crop.labels_zyx))
    down, across = (i for i in range(3) if i != along)
    picture = overlay(np.clip(image, *WINDOW), ids, strength=0.3) if labels else image
    return Panel(picture, size[down] / size[across])


def _note(values: dict[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {_short(value)}" for key, value in values.items())


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_short, value))
    return value if isinstance(value, str) else f"{value:g}"
