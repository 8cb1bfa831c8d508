"""Translations of v1's defaults with some values changed."""

from pytc_auto.legacy.config import V1Config, defaults
from pytc_auto.legacy.translate import Given, translate
from pytc_auto.planning.machines import PRESETS

SIZE = (30.0, 6.0, 6.0)


def given(**changes):
    folds = {"kind": "volumes", "count": 2, "members": 1}
    return Given(
        **{"name": "old", "machine": PRESETS["M"], "memory": lambda _: 1, "voxel_size_nm": SIZE, "folds": folds, **changes}
    )


def made(changes=(), **facts):
    """A translation of v1's defaults with some values changed."""
    return translate(V1Config(defaults()).replace(dict(changes)), given(**facts), "config.yaml")


def instead(translation, key):
    return " ".join(row.instead for row in translation.rows if row.key == key)
