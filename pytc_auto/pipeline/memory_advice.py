"""What to do when a training step does not fit the memory."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from pytc_auto.errors import BudgetError
from pytc_auto.geometry import Zyx
from pytc_auto.pipeline.runs import Run
from pytc_auto.planning.patch import PatchFamily, room_extent, wanted_field_of_view
from pytc_auto.schema.plan import Plan

SIGNS = ("not enough memory", "out of memory", "allocate memory", "ALLOC_FAILED")
"""Of what torch, its CPU allocator and the CUDA libraries say."""


@contextmanager
def memory_wanted(run: Run, plan: Plan) -> Iterator[None]:
    """Running out of memory ends with the change of the plan that would fit.

    Raises:
        BudgetError: It did not fit.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not any(sign in str(error) for sign in SIGNS):
            raise
        patch = "×".join(map(str, plan.patch))
        raise BudgetError(
            f"{plan.name}: a training step with patch {patch} and batch {plan.sampling.batch} ran out of memory "
            f"({plan.memory.bytes / 1e9:.1f} GB planned, source: {plan.memory.source}). {_advice(run, plan)}"
        ) from error


def _advice(run: Run, plan: Plan) -> str:
    smaller = _smaller(run, plan)
    if smaller is None:
        return "There is no smaller patch for these data: free memory that others use, or train on a machine with more of it."
    command = shlex.join(["pytc", "plan", run.dataset().root, *smaller, "--name", f"{run.name}-smaller"])
    return f"Plan with less: {command}"


def _smaller(run: Run, plan: Plan) -> list[str] | None:
    """The overrides that take less: batches of one, then the next smaller patch."""
    sampling = plan.sampling
    if sampling.batch > 1:
        return ["sampling.batch=1", f"sampling.accumulate={sampling.batch * sampling.accumulate}"]
    patch = next_smaller_patch(run, plan)
    return None if patch is None else [f"patch=[{','.join(map(str, patch))}]"]


def next_smaller_patch(run: Run, plan: Plan) -> Zyx | None:
    """The largest patch of the planner's family for the data that holds fewer voxels; None where there is none."""
    fingerprint = run.fingerprint()
    family = PatchFamily(plan.working_voxel_size_nm, room_extent(fingerprint, plan.working_scale))
    wanted_nm, _, _ = wanted_field_of_view(fingerprint, plan.task)
    return next((patch for patch in family.patches(wanted_nm) if math.prod(patch) < math.prod(plan.patch)), None)
