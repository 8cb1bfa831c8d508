"""A checkpoint of v1 as a model folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from pytc_auto.errors import OutputError
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.schema.plan import Plan


def weights_to_model(checkpoint: Path | str, plan: Plan, folder: Path | str, decoder: DecoderChoice) -> None:
    """Write a model folder that ``pytc predict`` uses like any other: plan, decoder, and the checkpoint's weights as safetensors.

    Args:
        checkpoint: A ``.pth.tar`` of v1; only its weights are read.
        plan: With the network that they belong to.
        folder: It appears whole or not at all.
        decoder: What the predictions are decoded with.

    Raises:
        ModelError: The file is no checkpoint, asks for code, or its weights are not those of the network.
        OutputError: The folder exists already, or cannot be written.
    """
    from pytc_auto.models.build import build_network
    from pytc_auto.models.v1.checkpoint import load_v1, read_v1_checkpoint
    from pytc_auto.models.weights import save_weights

    folder = Path(folder)
    if folder.exists():
        raise OutputError(f"{folder}: exists already. Remove it, or choose another output.")
    network = build_network(plan)
    load_v1(network, read_v1_checkpoint(checkpoint), checkpoint)
    partial = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        plan.save(partial / "plan.yaml")
        decoder.save(partial / "decoder.json")
        save_weights(network, partial / "fold_0.safetensors")
        partial.replace(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error}). Make room, or choose another output.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
