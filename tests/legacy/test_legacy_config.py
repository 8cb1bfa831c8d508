import copy

import pytest

from pytc_auto.errors import PlanError
from pytc_auto.legacy.config import V1Config, defaults, load_config


def write(folder, text, name="config.yaml"):
    path = folder / name
    path.write_text(text)
    return path


def test_the_defaults_are_all_of_v1s():
    assert len(defaults()) == 226
    sections = [key.split(".")[0] for key in defaults()]
    counts = {name: sections.count(name) for name in dict.fromkeys(sections)}
    assert counts == {"SYSTEM": 6, "MODEL": 61, "DATASET": 43, "AUGMENTOR": 58, "SOLVER": 29, "MONITOR": 3, "INFERENCE": 26}
    assert defaults()["MODEL.FILTERS"] == [28, 36, 48, 64, 80]


def test_base_then_file_then_pairs(tmp_path):
    base = write(tmp_path, "MODEL: {NORM_MODE: gn, ACT_MODE: relu, IN_PLANES: 1}\nSOLVER: {BASE_LR: 0.02}", "base.yaml")
    config = write(tmp_path, "MODEL: {ACT_MODE: silu}\nSOLVER: {BASE_LR: 0.03}")
    before = copy.deepcopy(dict(defaults()))
    loaded = load_config(config, base=base, pairs=["SOLVER.BASE_LR", "0.5", "MODEL.FILTERS", "(1, 2)"])
    assert (loaded["MODEL.NORM_MODE"], loaded["MODEL.ACT_MODE"], loaded["SOLVER.BASE_LR"]) == ("gn", "silu", 0.5)
    assert loaded["MODEL.FILTERS"] == [1, 2]
    assert loaded.changed == ["MODEL.FILTERS", "MODEL.NORM_MODE", "MODEL.ACT_MODE", "SOLVER.BASE_LR"]
    assert dict(defaults()) == before


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("INFERENCE: {AUG_NUM: None}", "INFERENCE.AUG_NUM", None),
        ("INFERENCE: {AUG_NUM: '4'}", "INFERENCE.AUG_NUM", 4),
        ("SOLVER: {BASE_LR: 1e-3}", "SOLVER.BASE_LR", 1e-3),
        ("SOLVER: {STEPS: null}", "SOLVER.STEPS", None),
        ("SOLVER: {STEPS: '(1, 2)'}", "SOLVER.STEPS", [1, 2]),
        ("MODEL: {LABEL_EROSION: [1, 2]}", "MODEL.LABEL_EROSION", [1, 2]),
        ("MODEL: {LABEL_EROSION: 1}", "MODEL.LABEL_EROSION", 1),
        ("DATASET: {IMAGE_NAME: a/b.h5@c.h5}", "DATASET.IMAGE_NAME", "a/b.h5@c.h5"),
        ("DATASET: {REJECT_SAMPLING: {P: 0.5}}", "DATASET.REJECT_SAMPLING.P", 0.5),
        ("", "MODEL.ARCHITECTURE", "unet_3d"),
    ],
)
def test_texts_are_literals_and_null_goes_with_any_type(tmp_path, text, key, value):
    assert load_config(write(tmp_path, text))[key] == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("DATASET: {LABEL_EROSION: 1}", "KeyError: Non-existent config key: DATASET.LABEL_EROSION"),
        ("DATA: {A: 1}", "KeyError: Non-existent config key: DATA"),
        ("1: 2", "KeyError: Non-existent config key: 1"),
        (
            "SOLVER: {BASE_LR: 1}",
            "Type mismatch (<class 'float'> vs. <class 'int'>) with values (0.001 vs. 1) for config key: SOLVER.BASE_LR",
        ),
        ("DATASET: {DO_2D: 1}", "ValueError: Type mismatch (<class 'bool'> vs. <class 'int'>)"),
        ("MODEL: {FILTERS: 3}", "ValueError: Type mismatch (<class 'list'> vs. <class 'int'>)"),
        ("MODEL: {FILTERS: {a: 1}}", "ValueError: Type mismatch"),
        ("MODEL: 3", "ValueError: Type mismatch"),
        ("DATASET: {IMAGE_NAME: 2020-01-01}", "ValueError: Type mismatch"),
        ("[1, 2]", "AssertionError: expected keys and values, got list"),
    ],
)
def test_what_v1_cannot_load_is_refused_with_its_reason(tmp_path, text, reason):
    path = write(tmp_path, text)
    with pytest.raises(PlanError) as caught:
        load_config(path)
    assert reason in str(caught.value)
    assert str(caught.value).startswith(f"{path}: PyTorch Connectomics v1 itself cannot use it")


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        (["SOLVER.BASE_LR"], "Override list has odd length: ['SOLVER.BASE_LR']; it must be a list of pairs"),
        (["SOLVER.LR", "1"], "AssertionError: Non-existent key: SOLVER.LR"),
        (["MODEL", "1"], "AssertionError: Non-existent key: MODEL"),
        (["SOLVER.BASE_LR", "1"], "Type mismatch (<class 'float'> vs. <class 'int'>)"),
    ],
)
def test_pairs_that_v1_cannot_take_are_refused(tmp_path, pairs, reason):
    with pytest.raises(PlanError, match="itself cannot use it") as caught:
        load_config(write(tmp_path, ""), pairs=pairs)
    assert reason in str(caught.value)


def test_nothing_hostile_is_run(tmp_path):
    made = tmp_path / "made"
    tag = f"MODEL: !!python/object/apply:pathlib.Path.touch [{made}]"
    with pytest.raises(PlanError, match="is not plain YAML"):
        load_config(write(tmp_path, tag))
    with pytest.raises(PlanError, match="Python configurations would be run"):
        load_config(write(tmp_path, f"open({str(made)!r}, 'w')", "config.py"))
    with pytest.raises(PlanError, match=r"is nested too deeply|Type mismatch"):
        load_config(
            write(tmp_path, f'DATASET: {{IMAGE_NAME: "{"[" * 9000}"}}'), pairs=["DATASET.IMAGE_NAME", "[" * 150 + "]" * 150]
        )
    with pytest.raises(PlanError, match="is not plain YAML"):
        load_config(write(tmp_path, "[" * 4000))
    assert not made.exists()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"MODEL: [", b"\x00"])
def test_files_that_are_no_configuration_are_refused(tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(PlanError, match=r"config\.yaml"):
        load_config(path)
    with pytest.raises(PlanError, match=r"absent\.yaml: cannot be read"):
        load_config(tmp_path / "absent.yaml")


def test_a_copy_with_other_values():
    config = V1Config(defaults())
    changed = config.replace({"MODEL.NORM_MODE": "gn"})
    assert changed.changed == ["MODEL.NORM_MODE"]
    assert config.changed == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("DATASET: {VALID_MASK_NAME: m.h5}", "Using valid mask is only supported when target label is given."),
        (
            "DATASET: {VALID_MASK_NAME: m.h5, LABEL_NAME: l.h5}\nAUGMENTOR: {ADDITIONAL_TARGETS_NAME: null}",
            "AUGMENTOR.ADDITIONAL_TARGETS_NAME is None",
        ),
    ],
)
def test_masks_need_labels_that_are_varied_with_them(tmp_path, text, reason):
    with pytest.raises(PlanError, match="itself cannot use it") as caught:
        load_config(write(tmp_path, text))
    assert reason in str(caught.value)
