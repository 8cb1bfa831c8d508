"""What becomes of v1's backbones and scales."""

import pytest
from tests_legacy import instead, made

from pytc_auto.errors import PlanError

PYRAMID = {"MODEL.ARCHITECTURE": "fpn_3d"}
EFFICIENT = {**PYRAMID, "MODEL.BACKBONE": "efficientnet", "MODEL.BLOCK_TYPE": "inverted_res"}


def test_an_efficientnet_of_four_numbers_is_told():
    four = made(EFFICIENT)
    assert four.plan.network.blocks == [1, 2, 2, 2, 2]
    assert "v1 itself fails" in instead(four, "MODEL.BLOCKS")
    five = made({**EFFICIENT, "MODEL.BLOCKS": [1, 2, 3, 4, 5], "MODEL.ATTENTION": "anything"})
    assert (five.plan.network.blocks, five.plan.network.attention) == ([1, 2, 3, 4, 5], "none")
    assert not instead(five, "MODEL.BLOCKS")
    with pytest.raises(PlanError, match=r"IndexError: list index out of range: MODEL\.KERNEL_SIZES \[3\]"):
        made({**EFFICIENT, "MODEL.KERNEL_SIZES": [3]})


def test_other_backbones_begin_with_one_convolution_and_a_botnet_ends_with_three_blocks():
    for backbone, last in (("resnet", 5), ("repvgg", 5), ("botnet", 3)):
        size = {"MODEL.INPUT_SIZE": [16, 256, 256], "MODEL.BACKBONE": backbone}
        assert made({**PYRAMID, **size, "MODEL.BLOCKS": [2, 3, 4, 5, 9]}).plan.network.blocks == [1, 2, 3, 4, last]


def test_pooling_that_a_feature_pyramid_did_not_do_is_told():
    pooled = made({**PYRAMID, "MODEL.POOLING_LAYER": True})
    assert pooled.plan.network.pooling == "stride"
    assert "no effect" in instead(pooled, "MODEL.POOLING_LAYER")


def test_a_scale_is_a_working_scale_where_it_can_be():
    new = {"MODEL.ARCHITECTURE": "deeplabv3c", "MODEL.INPUT_SIZE": [1, 257, 257]}
    coarse = made({**new, "DATASET.DATA_SCALE": [1.0, 0.5, 0.25]})
    assert coarse.plan.working_scale == (1, 2, 4)
    assert "averaged" in instead(coarse, "DATASET.DATA_SCALE")
    fine = made({**new, "DATASET.DATA_SCALE": [1.0, 2.0, 2.0]})
    assert fine.plan.working_scale == (1, 1, 1)
    assert "resample them beforehand" in instead(fine, "DATASET.DATA_SCALE")
    other = made({**new, "DATASET.DATA_SCALE": [1.0, 0.25, 0.25], "INFERENCE.DATA_SCALE": [1.0, 1.0, 1.0]})
    assert (other.plan.working_scale, other.model_plan.working_scale) == ((1, 4, 4), (1, 1, 1))


def test_networks_of_v1_see_volumes_zoomed_as_v1_zoomed_them():
    fine = made({"DATASET.DATA_SCALE": [1.0, 2.0, 0.3]})
    assert (fine.plan.zoom, fine.plan.working_scale) == ((1.0, 2.0, 0.3), (1, 1, 1))
    assert fine.plan.working_voxel_size_nm == (30.0, 3.0, 20.0)
    assert not instead(fine, "DATASET.DATA_SCALE")
    other = made({"DATASET.DATA_SCALE": [1.0, 0.25, 0.25], "INFERENCE.DATA_SCALE": [1.0, 1.0, 1.0]})
    assert (other.plan.zoom, other.model_plan.zoom) == ((1.0, 0.25, 0.25), (1.0, 1.0, 1.0))
    assert "zoomed by [1.0, 1.0, 1.0]" in instead(other, "INFERENCE.DATA_SCALE")
    image = made({"DATASET.IMAGE_SCALE": [1.0, 2.0, 2.0], "INFERENCE.DATA_SCALE": [1.0, 3.0, 3.0]})
    assert image.plan.zoom == image.model_plan.zoom == (1.0, 2.0, 2.0)
    assert "no effect" in instead(image, "INFERENCE.DATA_SCALE")
    eroded = made({"DATASET.DATA_SCALE": [1.0, 2.0, 2.0], "MODEL.LABEL_EROSION": 2, "MODEL.TARGET_OPT": ["2"]})
    assert eroded.plan.labels.erode_nm == 2 * 3.0
