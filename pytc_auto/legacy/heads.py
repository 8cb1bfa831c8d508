"""v1's targets, losses and weights as heads of a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytc_auto.geometry import Zyx, ZyxFloat
from pytc_auto.legacy.config import V1Config
from pytc_auto.legacy.targets import Target, read_targets

Raw = dict[str, Any]


@dataclass
class Learned:
    """What the network learns.

    Attributes:
        heads: As a plan has them.
        activations: One a head.
        labels: How label values are read.
        task: What is segmented.
        told: Of a key's value, what happens instead.
    """

    heads: list[Raw] = field(default_factory=list)
    activations: list[str] = field(default_factory=list)
    labels: Raw = field(default_factory=dict)
    task: str = "objects"
    told: list[tuple[str, str]] = field(default_factory=list)


def translate_heads(config: V1Config, voxel_size_nm: ZyxFloat, where: str) -> Learned:
    """Heads in the order of v1's channels.

    Args:
        config: For training; INFERENCE.OUTPUT_ACT is read from it, too.
        voxel_size_nm: Of the grid the network sees.
        where: Names the configuration in errors.

    Raises:
        PlanError: v1 fails with these targets; its own reason is told.
    """
    flat = bool(config["DATASET.DO_2D"])
    targets = read_targets(config["MODEL.TARGET_OPT"], config["MODEL.OUT_PLANES"], flat=flat, where=where)
    learned = Learned()
    counts = [target.channels for target in targets]
    if sum(counts) != config["MODEL.OUT_PLANES"]:
        told = f"v1 itself fails in its first step: the targets have {counts} channels; {sum(counts)} are planned"
        learned.told.append(("MODEL.OUT_PLANES", told))
    learned.labels, classes = _labels(config, targets, voxel_size_nm, learned)
    activations = _activations(config, targets, learned)
    for number, (target, activation) in enumerate(zip(targets, activations, strict=True)):
        wanted = _Wanted(config, number, target, voxel_size_nm, flat, learned)
        whole = target is classes
        made = _classes(wanted) if whole else _MAKERS.get(target.kind, _opaque)(wanted)
        _append(learned, made, activation)
    kinds = {head["kind"] for head in learned.heads}
    learned.task = "classes" if "classes" in kinds else "neurons" if "affinities" in kinds else "objects"
    return learned


@dataclass(frozen=True)
class _Wanted:
    """One target with all that decides its head."""

    config: V1Config
    number: int
    target: Target
    voxel_size_nm: ZyxFloat
    flat: bool
    learned: Learned

    def tell(self, key: str, text: str) -> None:
        """Note what happens instead of a part of a key's value."""
        self.learned.told.append((key, f"{self.target.code}: {text}"))

    def option(self, key: str) -> list[Any]:
        """The target's entry of a list that has one for each."""
        every = self.config[key]
        found = every[self.number] if isinstance(every, list | tuple) and self.number < len(every) else []
        return list(found) if isinstance(found, list | tuple) else [found]

    @property
    def weight(self) -> float:
        """Of the head's loss: that of the first of v1's losses."""
        given = [w for w in self.option("MODEL.LOSS_WEIGHT") if isinstance(w, int | float) and w > 0]
        if len(set(given)) > 1:
            self.tell("MODEL.LOSS_WEIGHT", f"the losses count the same, as a whole {given[0]:g}")
        return float(given[0]) if given else 1.0


def _append(learned: Learned, made: Raw, activation: str) -> None:
    """Add a head; affinities that follow others of other offsets are one head with them."""
    last: Raw = learned.heads[-1] if learned.heads else {"kind": ""}
    alike = {k: v for k, v in made.items() if k != "offsets"} == {k: v for k, v in last.items() if k != "offsets"}
    joined = [*last.get("offsets", ()), *made.get("offsets", ())]
    if made["kind"] == "affinities" and alike and learned.activations[-1] == activation and len(set(joined)) == len(joined):
        last["offsets"] = joined
        return
    learned.heads.append(made)
    learned.activations.append(activation)


def _labels(config: V1Config, targets: list[Target], voxel_size_nm: ZyxFloat, learned: Learned) -> tuple[Raw, Target | None]:
    """How label values are read, and the target that is their classes, if one is."""
    first = targets[0]
    classes = next((t for t in targets if t.kind == "9" and t.channels > 1), first if first.exclusive_sides else None)
    others = [t for t in targets if t is not classes]
    if classes is not None and all(t.kind == "0" or _is_opaque(t) for t in others):
        names = ["background", "presynaptic", "postsynaptic"] if classes.exclusive_sides else _names(classes.channels)
        if classes.exclusive_sides:
            text = "to train, give labels of 0, 1 (odd ids, presynaptic) and 2 (even ids, postsynaptic)"
            learned.told.append(("MODEL.TARGET_OPT", f"{classes.code}: {text}"))
        return {"kind": "classes", "values": dict(enumerate(names)), "unlabeled": []}, classes
    return {"kind": "instances", "background": [0], "unlabeled": [], "erode_nm": _erosion(config, voxel_size_nm, learned)}, None


def _names(count: int) -> list[str]:
    return ["background", *(f"class {number}" for number in range(1, count))]


def _is_opaque(target: Target) -> bool:
    return target.kind in "3I" or target.code == "all" or target.quantized


def _erosion(config: V1Config, voxel_size_nm: ZyxFloat, learned: Learned) -> float:
    """In nm; v1 eroded each section by a disk, target by target."""
    given = config["MODEL.LABEL_EROSION"]
    rates = [rate for rate in (given if isinstance(given, list | tuple) else [given]) if isinstance(rate, int | float)]
    if not rates or min(rates) <= 0:
        return 0.0
    if len(set(rates)) > 1:
        told = f"all affinities are learned from labels eroded by {rates[0]}; v1 took {rates}"
        learned.told.append(("MODEL.LABEL_EROSION", told))
    return float(rates[0] * min(voxel_size_nm))


def _activations(config: V1Config, targets: Sequence[Target], learned: Learned) -> list[str]:
    """One a target, for prediction."""
    known = ("sigmoid", "tanh", "softmax", "relu", "elu", "none")
    given = config["INFERENCE.OUTPUT_ACT"]
    natural = [target.natural_activation for target in targets]
    if not isinstance(given, list | tuple) or len(given) != len(targets):
        count = len(given) if isinstance(given, list | tuple) else 1
        told = f"v1 itself cannot predict with {count} activations for {len(targets)} targets; {natural} are taken"
        learned.told.append(("INFERENCE.OUTPUT_ACT", told))
        return natural
    unknown = [name for name in given if name not in known]
    if unknown:
        learned.told.append(("INFERENCE.OUTPUT_ACT", f"v1 itself does not know {unknown}; {natural} are taken"))
        return natural
    for target, name in zip(targets, given, strict=True):
        if name != target.natural_activation:
            told = f"{target.code} is predicted by {name}, as v1 did; its loss brings {target.natural_activation}"
            learned.told.append(("INFERENCE.OUTPUT_ACT", told))
    return list(given)


def _binary_loss(wanted: _Wanted) -> str:
    """The nearest of our losses for values of 0 and 1."""
    names = wanted.option("MODEL.LOSS_OPTION")
    weights = [str(option)[:1] for option in wanted.option("MODEL.WEIGHT_OPT")]
    cross = [w for name, w in zip(names, weights, strict=False) if "BCE" in str(name)]
    if "2" in weights:
        wanted.tell("MODEL.WEIGHT_OPT", "no weight between objects that are near each other; heads learn boundaries instead")
    if any("Focal" in str(name) for name in names):
        if len(names) > 1:
            wanted.tell("MODEL.LOSS_OPTION", f"focal loss alone in place of {names}")
        return "focal"
    unknown = [name for name in names if name not in ("DiceLoss", "WeightedBCEWithLogitsLoss")]
    balanced = "1" in cross
    if "DiceLoss" in names and cross:
        loss = "dice_balanced_bce" if balanced else "dice_bce"
    elif cross and balanced:
        loss = "balanced_bce"
    else:
        loss = "dice_balanced_bce"
        unknown = unknown or names
    if unknown:
        wanted.tell("MODEL.LOSS_OPTION", f"{loss} in place of {names}")
    return loss


def _regression_loss(wanted: _Wanted) -> str:
    names = wanted.option("MODEL.LOSS_OPTION")
    loss = "smooth_l1" if names == ["WeightedMAE"] else "mse"
    if names != ["WeightedMSE"]:
        wanted.tell("MODEL.LOSS_OPTION", f"{loss} in place of {names}")
    return loss


def _foreground(wanted: _Wanted) -> Raw:
    if wanted.target.parts:
        wanted.tell("MODEL.TARGET_OPT", f"any label but 0 is foreground, not {', '.join(wanted.target.parts)} alone")
    return {"kind": "foreground", "width_nm": 0.0, "loss": _binary_loss(wanted), "weight": wanted.weight}


def _polarity(wanted: _Wanted) -> Raw:
    if wanted.target.exclusive_sides:
        return _opaque(wanted)
    return {"kind": "polarity", "loss": _binary_loss(wanted), "weight": wanted.weight}


def _affinities(wanted: _Wanted) -> Raw:
    offsets = _offsets(wanted)
    if offsets is None:
        return _opaque(wanted)
    return {"kind": "affinities", "offsets": offsets, "loss": _binary_loss(wanted), "weight": wanted.weight}


def _offsets(wanted: _Wanted) -> list[Zyx] | None:
    """Steps back, in the order of v1's channels; None where v1's value lies on neither of the two voxels."""
    parts = wanted.target.parts
    way = parts[-1] if parts and not parts[-1].isdecimal() else "v1"
    steps = [int(part) for part in parts[:3] if part.isdecimal()] if len(parts) >= 3 else [1, 1, 1]
    if len(steps) != 3 or way not in ("v1", "pni") or 0 in steps:
        return None
    z, y, x = steps
    offsets: list[Zyx] = [(-z, 0, 0), (0, -y, 0), (0, 0, -x)]
    if wanted.flat:
        offsets = offsets[1:]
    return offsets[::-1] if way == "pni" else offsets


def _boundary(wanted: _Wanted) -> Raw:
    width, background = (int(part) if part.isdecimal() else 1 for part in wanted.target.parts)
    told = "a boundary is found in all directions and has a width in nm; v1 found it section by section"
    if not background:
        told += ", and between objects only, not at background"
    wanted.tell("MODEL.TARGET_OPT", told)
    width_nm = 2.0 * max(1, width) * min(wanted.voxel_size_nm)
    return {"kind": "boundary", "width_nm": width_nm, "loss": _binary_loss(wanted), "weight": wanted.weight}


def _instance_distance(wanted: _Wanted) -> Raw:
    if wanted.target.quantized:
        return _opaque(wanted)
    wanted.tell("MODEL.TARGET_OPT", "to train, the distance is 1 on an object's skeleton; v1's was 1 where it is largest")
    scale = float(min(wanted.voxel_size_nm))
    return {"kind": "skeleton_distance", "scale_nm": scale, "loss": _regression_loss(wanted), "weight": wanted.weight}


def _signed_distance(wanted: _Wanted) -> Raw:
    parts = wanted.target.parts
    fore, back = (_number(part) for part in parts[1:3]) if len(parts) >= 3 else (8.0, 50.0)
    told = f"to train, the distance has one scale inside and outside, {fore:g} voxels; v1's outside was {back:g}"
    wanted.tell("MODEL.TARGET_OPT", told)
    scale = float(fore * min(wanted.voxel_size_nm))
    return {"kind": "signed_distance", "scale_nm": scale, "loss": _regression_loss(wanted), "weight": wanted.weight}


def _number(text: str) -> float:
    try:
        return max(float(text), 1.0)
    except ValueError:
        return 8.0


def _flow(wanted: _Wanted) -> Raw:
    wanted.tell("MODEL.TARGET_OPT", "to train, the flow points to the object's center; v1's followed Cellpose's diffusion")
    return {"kind": "flow", "axes": "yx", "loss": _regression_loss(wanted), "weight": wanted.weight}


def _classes(wanted: _Wanted) -> Raw:
    names = wanted.option("MODEL.LOSS_OPTION")
    wanted.tell("MODEL.LOSS_OPTION", f"dice_ce in place of {names}")
    weights = _class_weights(wanted) or [1.0] * wanted.target.channels
    return {"kind": "classes", "class_weights": weights, "loss": "dice_ce", "weight": wanted.weight}


def _class_weights(wanted: _Wanted) -> list[float] | None:
    """From LOSS_KWARGS_*, where they give one for each class."""
    keys, values = wanted.option("MODEL.LOSS_KWARGS_KEY"), wanted.option("MODEL.LOSS_KWARGS_VAL")
    for names, givens in zip(keys, values, strict=False):
        for name, given in zip(names or [], givens or [], strict=False):
            numbers = isinstance(given, list | tuple) and all(isinstance(v, int | float) and v > 0 for v in given)
            if name == "class_weight" and numbers and len(given) == wanted.target.channels:
                return [float(v) for v in given]
    return None


def _opaque(wanted: _Wanted) -> Raw:
    """What no head of ours means."""
    wanted.tell("MODEL.TARGET_OPT", "is predicted, but cannot be learned here")
    return {"kind": "v1", "target": wanted.target.code, "channels": wanted.target.channels, "weight": wanted.weight}


_MAKERS: dict[str, Callable[[_Wanted], Raw]] = {
    "0": _foreground,
    "1": _polarity,
    "2": _affinities,
    "4": _boundary,
    "5": _instance_distance,
    "6": _signed_distance,
    "7": _flow,
}
"""By the code's first letter; what is not here is predicted only."""
