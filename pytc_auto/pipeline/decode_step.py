"""Stored predictions to the segmentation of one volume, block by block, taken up again where it was interrupted.

OUT/.pytc/decoding.json   how the segmentation was made
OUT/.pytc/fragments       regions of each block, and OUT/.pytc/graph.npz what lies between them: kept for ``pytc decode``
OUT/.pytc/lookup.npz      what each region has become
OUT/.pytc/decoding/STAGE  which blocks of a stage are done; OUT/.pytc/new is a segmentation that is not complete
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytc_auto.decoding.block_files import LAYOUT
from pytc_auto.decoding.blockwise import Decoding, PaintTask, Run, make_graph, segments
from pytc_auto.decoding.decode import complete
from pytc_auto.executors.executor import Executor
from pytc_auto.executors.ledger import BlockLedger
from pytc_auto.executors.shard import WHOLE
from pytc_auto.executors.task import Task
from pytc_auto.files import write_whole
from pytc_auto.geometry import Box, blocks, zyx
from pytc_auto.io.volume import Volume
from pytc_auto.io.working_grid import WorkingGrid
from pytc_auto.pipeline.exports import remove_exports
from pytc_auto.pipeline.predict_step import Predicted
from pytc_auto.pipeline.segmentation_job import SEGMENTATION, STATE, Job
from pytc_auto.progress import Progress
from pytc_auto.schema.decoding import DecodingRecord

RECORD = "decoding.json"
PAINTED = 3
"""Chunks of the segmentation, on each axis, that are painted at once."""


@dataclass(frozen=True)
class Stages:
    """Does the blocks of one stage of decoding after the other.

    Attributes:
        out: The output.
        volume: What is shown of it.
        executor: Does the blocks; those of all shards, as one of them decodes.
        progress: Told how far a stage is.
    """

    out: Path
    volume: str
    executor: Executor
    progress: Progress

    def of(self, job: str) -> Run:
        """For blocks that a job identifies; those that it has done are done."""

        def run(task: Task, boxes: Sequence[Box], stage: str) -> None:
            ledger = BlockLedger(self.out / STATE / "decoding" / stage.replace(" ", "_"), job)
            told, voxels = f"decoding {self.volume}: {stage}", sum(box.size for box in boxes)
            replace(self.executor, shard=WHOLE).run(task, boxes, ledger, lambda done: self.progress(told, done, voxels))

        return run


def decode_step(job: Job, source: Volume, predicted: Predicted, executor: Executor, progress: Progress) -> None:
    """Segmentation on the input's grid, with a picture.

    Args:
        job: Whose output it is.
        source: The volume.
        predicted: The stored predictions.
        executor: Does the blocks; those of all shards, as one of them decodes.
        progress: Told how far each stage is.
    """
    record = DecodingRecord(
        volume=Path(job.path).name,
        job=job.hash,
        plan=job.setting.plan,
        decoder=complete(job.setting.models[0].decoder),
        extent=source.shape,
        start=job.box.start,
        stop=job.box.stop,
        part_start=predicted.part.start,
        part_stop=predicted.part.stop,
        voxel_size_nm=source.voxel_size_nm or job.setting.plan.voxel_size_nm,
        translation_nm=job.translation_nm(job.box.start),
        attributes=json.loads(json.dumps(job.attributes)),
    )
    record.save(job.target / STATE / RECORD)
    make_segmentation(record, Stages(job.target, record.volume, executor, progress))
    put_in_place(job.target)
    _keep_section(job, source, predicted)
    draw_preview(job.target, record)


def make_segmentation(record: DecodingRecord, stages: Stages) -> Path:
    """The segmentation in a place of its own, beside one that may be there.

    Returns:
        The group of the new labels.
    """
    with stages.executor.staying() as executor:
        return _make_segmentation(record, replace(stages, executor=executor))


def _make_segmentation(record: DecodingRecord, stages: Stages) -> Path:
    from pytc_auto.io.ome_zarr import open_level

    state, part = stages.out / STATE, record.part
    decoding = Decoding(stages.out, state, record.plan, record.decoder, part.shape)
    told = [record.plan.model_dump(mode="json"), record.decoder.kind, decoding.early, decoding.regions.block]
    early = _hash([record.job, LAYOUT, *told])
    _forget_others(state, early)
    make_graph(decoding, stages.of(early))
    step = f"decoding {record.volume}: segments"
    stages.progress(step, 0, 0)
    lookup = segments(decoding)
    stages.progress(step, part.size, part.size)
    group, late = state / "new" / "labels" / SEGMENTATION, _hash([early, record.decoder.parameters, record.attributes])
    _begin_labels(state, record, lookup, late)
    grid = WorkingGrid.of(record.plan, record.extent)
    paint = PaintTask(decoding.regions, state / "lookup.npz", group, record.start, record.part_start, grid)
    block = zyx([PAINTED * n for n in open_level(group).chunks])
    boxes = list(blocks(Box.of_shape(record.box.shape), block))
    stages.of(late)(paint, boxes, "labels")
    return group


def put_in_place(out: Path) -> None:
    """Make the new labels those of the output."""
    from pytc_auto.io.ome_zarr import replace_labels

    remove_exports(out)
    replace_labels(out, SEGMENTATION, out / STATE / "new")
    shutil.rmtree(out / STATE / "decoding", ignore_errors=True)


def _hash(told: object) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _forget_others(state: Path, early: str) -> None:
    """Remove regions and graph that were made with other parameters."""
    note = state / "fragments.job"
    if note.is_file() and note.read_text(encoding="utf-8") == early:
        return
    for name in ("fragments", "seeds", "edges", "decoding", "new"):
        shutil.rmtree(state / name, ignore_errors=True)
    for name in ("graph.npz", "lookup.npz"):
        (state / name).unlink(missing_ok=True)
    write_whole(note, early)


def _begin_labels(state: Path, record: DecodingRecord, lookup: Any, late: str) -> None:
    """The lookup table and empty labels, if those that were begun are not of this segmentation."""
    from pytc_auto.decoding.block_files import save
    from pytc_auto.io.ome_zarr import CHUNK, create_labels

    note = state / "new.job"
    if (state / "new").is_dir() and note.is_file() and note.read_text(encoding="utf-8") == late:
        return
    for begun in (state / "new", state / "decoding" / "labels"):
        shutil.rmtree(begun, ignore_errors=True)
    save(state / "lookup.npz", {"lookup": lookup})
    create_labels(
        state / "new",
        SEGMENTATION,
        shape=record.box.shape,
        chunks=CHUNK,
        dtype=lookup.dtype,
        voxel_size_nm=record.voxel_size_nm,
        translation_nm=record.translation_nm,
        attributes={**record.attributes, "decoder": record.decoder.model_dump()},
    )
    write_whole(note, late)


def _keep_section(job: Job, source: Volume, predicted: Predicted) -> None:
    """The middle section of image and prediction, for the picture of this segmentation and of later ones."""
    from pytc_auto.decoding.block_files import save

    middle = job.box.start[0] + job.box.shape[0] // 2
    shown = Box((middle, *job.box.start[1:]), (middle + 1, *job.box.stop[1:]))
    section = source.read(shown)
    place = WorkingGrid.of(job.setting.plan, source.shape).box(shown).start[0]
    stored = predicted.array[:, place - predicted.part.start[0]]
    save(job.target / STATE / "section.npz", {"image": section, "stored": stored[:, None]})


def draw_preview(out: Path, record: DecodingRecord) -> None:
    """The middle section with its segmentation."""
    from pytc_auto.decoding.block_files import load
    from pytc_auto.io.ome_zarr import open_level
    from pytc_auto.pipeline.pictures import result_picture

    kept, number = load(out / STATE / "section.npz"), record.box.shape[0] // 2
    result_picture(
        out / STATE / "preview.png",
        record.plan,
        image=kept["image"],
        stored=kept["stored"],
        segmentation=open_level(out / "labels" / SEGMENTATION)[number][None],
        truth=None,
        section=record.start[0] + number,
    )
