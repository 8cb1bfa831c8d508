"""``pytc decode``: another segmentation from what an output keeps, in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytc_auto.decoding.decode import KINDS, complete, refuse_impossible, refuse_unknown
from pytc_auto.errors import OutputError, PlanError
from pytc_auto.executors.claim import claimed
from pytc_auto.executors.executor import Executor
from pytc_auto.pipeline.decode_step import RECORD, Stages, draw_preview, make_segmentation, put_in_place
from pytc_auto.pipeline.segmentation_job import STATE, refuse_unfinished
from pytc_auto.progress import Progress, silent
from pytc_auto.schema.agreement import reads
from pytc_auto.schema.decoding import DecodingRecord
from pytc_auto.schema.model import DecoderChoice

HERE = Executor()


def decode(
    out: str | Path,
    parameters: Mapping[str, float] | None = None,
    *,
    kind: str | None = None,
    executor: Executor = HERE,
    progress: Progress = silent,
) -> DecoderChoice:
    """Decode the output of ``predict`` again; the segmentation that is there stays until the new one is complete.

    Thresholds of the agglomeration and the least size of a segment need the graph only, which every output keeps. What changes
    the fragments needs the predictions, too: they are there after ``--keep-predictions``.

    Args:
        out: OME-Zarr folder that ``predict`` wrote.
        parameters: Of the decoder; those that are not given stay as they are.
        kind: Another decoder of the plan's heads, with its own defaults; None for the same.
        executor: Does the blocks, from ``make_executor``: in this process by default.
        progress: Told how far each stage is.

    Returns:
        The decoder with all its parameters.

    Raises:
        OutputError: The folder is no complete output, its predictions were not kept, or it cannot be written.
        PlanError: The decoder does not know a parameter, a value cannot be (thresholds lie in 0 … 1), or the plan has no head
            for the decoder.
    """
    out = Path(out)
    record = _record(out)
    chosen = _chosen(record, dict(parameters or {}), kind)
    _check_predictions(out, record, chosen)
    record = record.replace(decoder=chosen)
    try:
        with claimed(out / STATE / "claims" / "decode") as other:
            if other is not None:
                raise OutputError(f"{out}: {other} is decoding it. Run the same command again after that.")
            _decode(record, Stages(out, record.volume, executor, progress))
    except OSError as error:
        raise OutputError(
            f"{out}: cannot be written ({error}). Make room or check the rights, and run the same command again; "
            "the segmentation that was there stays."
        ) from error
    return chosen


def _decode(record: DecodingRecord, stages: Stages) -> None:
    """The steps of ``decode``."""
    from pytc_auto.io.pyramid import add_pyramid

    out, labels = stages.out, make_segmentation(record, stages)
    add_pyramid(labels, kind="labels", progress=stages.progress)
    put_in_place(out)
    record.save(out / STATE / RECORD)
    _note_decoder(out, record)
    draw_preview(out, record)


def _record(out: Path) -> DecodingRecord:
    """How the segmentation that is there was made."""
    state = out / STATE
    if not (state / "job.json").is_file():
        raise OutputError(f"{out}: is not an output of pytc predict. Give the folder that was its -o, of one volume.")
    refuse_unfinished(out)
    if not (state / RECORD).is_file():
        raise OutputError(
            f"{out}: keeps nothing to decode from, it was made by an older version. Run pytc predict into a new folder."
        )
    return DecodingRecord.load(state / RECORD)


def _chosen(record: DecodingRecord, parameters: dict[str, float], kind: str | None) -> DecoderChoice:
    """The decoder that is asked for."""
    before = record.decoder
    if kind is None or kind == before.kind:
        refuse_unknown(parameters, KINDS[before.kind].defaults, f"decoder {before.kind}")
        refuse_impossible(parameters, f"decoder {before.kind}")
        return before.replace(parameters={**before.parameters, **parameters})
    if kind not in KINDS:
        raise PlanError(f"there is no decoder {kind}. Known are {', '.join(KINDS)}.")
    heads = {head.kind for head in record.plan.heads}
    if not reads(kind, heads):
        known = ", ".join(name for name in KINDS if reads(name, heads))
        raise PlanError(f"{record.plan.name}: decoder {kind} cannot read the heads {', '.join(sorted(heads))}. Use {known}.")
    refuse_unknown(parameters, KINDS[kind].defaults, f"decoder {kind}")
    refuse_impossible(parameters, f"decoder {kind}")
    return complete(DecoderChoice(kind=kind, parameters=parameters))


def _check_predictions(out: Path, record: DecodingRecord, chosen: DecoderChoice) -> None:
    """That the predictions are there, if fragments have to be made."""
    before, late = record.decoder, KINDS[chosen.kind].late
    if chosen.kind != before.kind:
        what = f"the decoder {chosen.kind}"
    else:
        changed = [name for name, value in chosen.parameters.items() if value != before.parameters[name] and name not in late]
        what = ", ".join(changed)
    if not what and not (out / STATE / "graph.npz").is_file():
        what = "what was kept of the fragments is gone, and to make them"
    if what and not (out / "0" / "zarr.json").is_file():
        raise OutputError(
            f"{out}: {what} needs the predictions, which were not kept. Change only {', '.join(sorted(late))}, "
            "or run pytc predict --keep-predictions into a new folder."
        )


def _note_decoder(out: Path, record: DecodingRecord) -> None:
    """Tell the new parameters where the output tells where it comes from."""
    import zarr

    group = zarr.open_group(str(out), mode="r+")
    told = group.attrs.asdict().get("pytc", {})
    group.attrs["pytc"] = {**told, "decoder": record.decoder.model_dump()}
