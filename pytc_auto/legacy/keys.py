"""Every key of v1: the fields that it decides, or what happens instead. The migration guide is made from these tables."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DATASET_FILE = "dataset.yaml"
MODEL_FOLDER = "model/"

_AUGMENTED = (
    *("ROTATE", "FLIP", "RESCALE", "ELASTIC", "GRAYSCALE", "MISSINGPARTS", "MISSINGSECTION", "MISALIGNMENT"),
    *("MOTIONBLUR", "CUTBLUR", "CUTNOISE", "COPYPASTE"),
)

FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "task": ("MODEL.TARGET_OPT",),
        "working_scale": ("DATASET.DATA_SCALE", "DATASET.IMAGE_SCALE", "INFERENCE.DATA_SCALE"),
        "labels": ("MODEL.TARGET_OPT", "MODEL.LABEL_EROSION"),
        "intensity": ("DATASET.NORMALIZE_RANGE", "DATASET.MEAN", "DATASET.STD", "DATASET.MATCH_ACT"),
        "patch": ("MODEL.INPUT_SIZE",),
        "network": (
            *("MODEL.ARCHITECTURE", "MODEL.BLOCK_TYPE", "MODEL.BACKBONE", "MODEL.DEPLOY_MODE", "MODEL.FILTERS", "MODEL.BLOCKS"),
            *("MODEL.KERNEL_SIZES", "MODEL.ATTENTION", "MODEL.ISOTROPY", "DATASET.IS_ISOTROPIC", "MODEL.PAD_MODE"),
            *("MODEL.NORM_MODE", "MODEL.ACT_MODE", "MODEL.POOLING_LAYER"),
            *("MODEL.SWIN_UNETR_FEATURE_SIZE", "MODEL.DEPTHS", "MODEL.UNETR_FEATURE_SIZE", "MODEL.HIDDEN_SIZE"),
        ),
        "heads": (
            *("MODEL.TARGET_OPT", "MODEL.OUT_PLANES", "MODEL.LOSS_OPTION", "MODEL.LOSS_WEIGHT", "MODEL.WEIGHT_OPT"),
            *("MODEL.LOSS_KWARGS_KEY", "MODEL.LOSS_KWARGS_VAL", "DATASET.DO_2D"),
        ),
        "sampling": (
            *("SOLVER.SAMPLES_PER_BATCH", "SOLVER.ITERATION_TOTAL", "SOLVER.ITERATION_VAL", "SOLVER.ITERATION_STEP"),
            *("DATASET.REJECT_SAMPLING.SIZE_THRES", "DATASET.REJECT_SAMPLING.DIVERSITY", "DATASET.REJECT_SAMPLING.P"),
        ),
        "augmentation": (
            "AUGMENTOR.ENABLED",
            *(f"AUGMENTOR.{name}.{key}" for name in _AUGMENTED for key in ("ENABLED", "P")),
            *("AUGMENTOR.ROTATE.ROT90", "AUGMENTOR.ELASTIC.ALPHA", "AUGMENTOR.ELASTIC.SIGMA"),
            *("AUGMENTOR.MISALIGNMENT.DISPLACEMENT", "AUGMENTOR.MISALIGNMENT.ROTATE_RATIO"),
            *("AUGMENTOR.MOTIONBLUR.SECTIONS", "AUGMENTOR.MOTIONBLUR.KERNEL_SIZE", "AUGMENTOR.CUTBLUR.LENGTH_RATIO"),
            *("AUGMENTOR.CUTBLUR.DOWN_RATIO_MAX", "AUGMENTOR.CUTNOISE.LENGTH_RATIO", "AUGMENTOR.CUTNOISE.SCALE"),
        ),
        "optimizer": (
            *("SOLVER.NAME", "SOLVER.BASE_LR", "SOLVER.WEIGHT_DECAY", "SOLVER.LR_SCHEDULER_NAME", "SOLVER.WARMUP_ITERS"),
            *("SOLVER.CLIP_GRADIENTS.ENABLED", "SOLVER.CLIP_GRADIENTS.CLIP_TYPE", "SOLVER.CLIP_GRADIENTS.CLIP_VALUE"),
            *("SOLVER.SWA.ENABLED", "SOLVER.SWA.START_ITER"),
        ),
        "folds": ("DATASET.IMAGE_NAME", "DATASET.VAL_IMAGE_NAME"),
        "inference": (
            *("INFERENCE.INPUT_SIZE", "INFERENCE.STRIDE", "INFERENCE.BLENDING", "INFERENCE.AUG_MODE", "INFERENCE.AUG_NUM"),
            *("INFERENCE.OUTPUT_ACT", "INFERENCE.PAD_SIZE", "DATASET.PAD_SIZE", "DATASET.PAD_MODE"),
            *("DATASET.DATA_SCALE", "DATASET.IMAGE_SCALE", "INFERENCE.DATA_SCALE"),
        ),
        "decoder": ("MODEL.TARGET_OPT",),
        DATASET_FILE: (
            *("DATASET.IMAGE_NAME", "DATASET.LABEL_NAME", "DATASET.VAL_IMAGE_NAME", "DATASET.VAL_LABEL_NAME"),
            *("DATASET.VALID_MASK_NAME", "DATASET.VAL_VALID_MASK_NAME"),
            *("DATASET.INPUT_PATH", "DATASET.IS_ABSOLUTE_PATH", "DATASET.LOAD_2D", "DATASET.DO_CHUNK_TITLE"),
        ),
    }
)
"""What each field of a plan, or file beside it, is decided by."""

_DEVICES = "pytc train --devices N trains on N devices, with SAMPLES_PER_BATCH on each, as v1 did under DDP"
_CHUNKS = "volumes are read by box, so training draws from all of a volume, and pytc predict goes block by block"
_RESUMED = "pytc train resumes by itself; --init-from MODEL starts from a model"
_NOT_OURS = "belongs to a network that is not carried over, or to none at all; it had no effect on those that are"
_UNETR = "as MONAI's network of this kind has it"
_LOGGED = "TensorBoard and metrics.csv are written in any case; --logger adds others"
_NEVER = "is never skipped"
_RETURNED = "feature maps are not returned"

GONE: Mapping[str, str] = MappingProxyType(
    {
        "SYSTEM.NUM_GPUS": _DEVICES,
        "SYSTEM.NUM_CPUS": "half of the cores prepare crops",
        "SYSTEM.DISTRIBUTED": _DEVICES,
        "SYSTEM.PARALLEL": _DEVICES,
        "SYSTEM.DISTRIBUTED_BACKEND": _DEVICES,
        "SYSTEM.DEBUG": "there is no debug mode",
        "MODEL.TARGET_OPT_MULTISEG_SPLIT": "there is one label volume, from which all heads are made",
        "MODEL.LABEL_DILATION": "labels are learned as they are; dilate them beforehand",
        "MODEL.IN_PLANES": "volumes have one channel",
        "MODEL.MIXED_PRECESION": "the plan has precision: fp32, in which v1 predicted; bf16 trains faster",
        "MODEL.EMBEDDING": _NOT_OURS,
        "MODEL.HEAD_DEPTH": _NOT_OURS,
        "MODEL.OUTPUT_SIZE": "the output is as large as the input",
        "MODEL.OUTPUT_ACT": "each loss brings its own activation, that for prediction is inference.activations",
        "MODEL.REGU_OPT": "heads are learned without a term that ties them together",
        "MODEL.REGU_TARGET": "heads are learned without a term that ties them together",
        "MODEL.REGU_WEIGHT": "heads are learned without a term that ties them together",
        "MODEL.FINETUNE": _RESUMED,
        "MODEL.EXACT": "weights are loaded strictly, by name and shape",
        "MODEL.SIZE_MATCH": "weights are loaded strictly, by name and shape",
        "MODEL.PRE_MODEL": _RESUMED,
        "MODEL.PRE_MODEL_LAYER": _RESUMED,
        "MODEL.PRE_MODEL_ITER": _RESUMED,
        "MODEL.RETURN_FEATS": _RETURNED,
        "MODEL.AUX_OUT": "deeplab's second output is not carried over",
        "MODEL.SWIN_UNETR_NUM_HEADS": _UNETR,
        "MODEL.NORM_NAME": _UNETR,
        "MODEL.SWIN_UNETR_DROPOUT_RATE": _UNETR,
        "MODEL.ATTN_DROP_RATE": _UNETR,
        "MODEL.DROPOUT_PATH_RATE": _UNETR,
        "MODEL.NORMALIZE": _UNETR,
        "MODEL.USE_CHECKPOINT": "activations are kept; of our kinds mednext can compute them again",
        "MODEL.SPATIAL_DIMS": _UNETR,
        "MODEL.DOWNSAMPLE": _UNETR,
        "MODEL.USE_V2": _UNETR,
        "MODEL.MLP_DIM": _UNETR,
        "MODEL.UNETR_NUM_HEADS": _UNETR,
        "MODEL.POS_EMBED": _UNETR,
        "MODEL.CONV_BLOCK": _UNETR,
        "MODEL.RES_BLOCK": _UNETR,
        "MODEL.UNETR_DROPOUT_RATE": _UNETR,
        "DATASET.LABEL_SCALE": "labels are brought to the grid of the image, each voxel from the nearest",
        "DATASET.VALID_MASK_SCALE": "masks are brought to the grid of the image, each voxel from the nearest",
        "DATASET.SCALE_FACTOR": "had no effect in v1.0.0; outputs are on the grid of the input",
        "DATASET.VAL_PAD_SIZE": "held-out volumes are predicted as any other",
        "DATASET.LABEL_VAST": "labels with several channels are not read; save VAST's ids in one",
        "DATASET.OUTPUT_PATH": "results of training are in the run's folder",
        "DATASET.DROP_CHANNEL": "color images are refused; convert them to gray",
        "DATASET.REDUCE_LABEL": "ids are made small crop by crop in any case, classes never",
        "DATASET.ENSURE_MIN_SIZE": "a volume smaller than a window is padded in any case",
        "DATASET.LABEL_BINARY": "any value but 0 is foreground",
        "DATASET.LABEL_MAG": "labels are learned as they are",
        "DATASET.DATA_CHUNK_NUM": _CHUNKS,
        "DATASET.DATA_CHUNK_IND": _CHUNKS,
        "DATASET.CHUNK_IND_SPLIT": _CHUNKS,
        "DATASET.DATA_COORD_RANGE": "pytc predict --box segments a part of a volume",
        "DATASET.DATA_CHUNK_STRIDE": _CHUNKS,
        "DATASET.DATA_CHUNK_ITER": _CHUNKS,
        "DATASET.VALID_RATIO": "a crop without a labelled voxel is drawn again",
        "DATASET.REJECT_SAMPLING.NUM_TRIAL": "crops are drawn around foreground voxels, so none is rejected",
        "DATASET.DISTRIBUTED": _DEVICES,
        "AUGMENTOR.SMOOTH": "labels are not smoothed",
        "AUGMENTOR.ADDITIONAL_TARGETS_NAME": "image, labels and mask are varied together in any case",
        "AUGMENTOR.ADDITIONAL_TARGETS_TYPE": "image, labels and mask are varied together in any case",
        **{f"AUGMENTOR.{name}.SKIP": _NEVER for name in _AUGMENTED},
        "AUGMENTOR.FLIP.DO_ZTRANS": "z is exchanged with y and x where the voxel size is the same on all axes",
        "AUGMENTOR.MISSINGSECTION.NUM_SECTION": "one section of a crop is lost at a time",
        "AUGMENTOR.RESCALE.FIX_ASPECT": "all axes are scaled alike, in nanometers",
        "AUGMENTOR.MISSINGPARTS.ITER": "the missing part of a section is drawn in another way",
        "AUGMENTOR.CUTBLUR.DOWN_RATIO_MIN": "how much coarser is drawn from 1 on",
        "AUGMENTOR.CUTBLUR.DOWNSAMPLE_Z": "isotropic data are made coarser on all axes, others in the plane",
        "AUGMENTOR.COPYPASTE.AUG_THRES": "objects are pasted onto background",
        "SOLVER.ITERATION_SAVE": "the best checkpoint and the last are kept",
        "SOLVER.ITERATION_RESTART": _RESUMED,
        "SOLVER.BIAS_LR_FACTOR": "all weights have one learning rate",
        "SOLVER.WEIGHT_DECAY_BIAS": "biases and norms do not decay",
        "SOLVER.MOMENTUM": "AdamW has moments of its own",
        "SOLVER.BETAS": "AdamW's are 0.9 and 0.999",
        "SOLVER.WEIGHT_DECAY_NORM": "biases and norms do not decay",
        "SOLVER.GAMMA": "the learning rate follows a cosine",
        "SOLVER.STEPS": "the learning rate follows a cosine",
        "SOLVER.WARMUP_FACTOR": "the warm-up begins near 0",
        "SOLVER.WARMUP_METHOD": "the warm-up is linear",
        "SOLVER.CLIP_GRADIENTS.NORM_TYPE": "the Euclidean norm is clipped",
        "SOLVER.SWA.LR_FACTOR": "the learning rate goes on along its cosine",
        "SOLVER.SWA.MERGE_ITER": "every step counts in the average",
        "SOLVER.SWA.BN_UPDATE_ITER": "the norms' statistics are averaged with the weights",
        "MONITOR.LOG_OPT": _LOGGED,
        "MONITOR.VIS_OPT": "each validation leaves a picture of held-out tissue",
        "MONITOR.ITERATION_NUM": _LOGGED,
        "INFERENCE.OUTPUT_SIZE": "the output is as large as the input",
        "INFERENCE.TENSORSTORE_PATH": "pytc predict reads N5, zarr and precomputed volumes by path or URL",
        "INFERENCE.INPUT_PATH": "volumes are named to pytc predict",
        "INFERENCE.IMAGE_NAME": "volumes are named to pytc predict",
        "INFERENCE.OUTPUT_PATH": "pytc predict -o OUT",
        "INFERENCE.OUTPUT_NAME": "pytc predict -o OUT; several volumes keep their names",
        "INFERENCE.IS_ABSOLUTE_PATH": "volumes are named to pytc predict",
        "INFERENCE.DO_CHUNK_TITLE": _CHUNKS,
        "INFERENCE.DO_SINGLY": "each volume is predicted by itself in any case",
        "INFERENCE.DO_SINGLY_START_INDEX": "name the volumes to pytc predict; the same command resumes",
        "INFERENCE.DO_SINGLY_STEP": "name the volumes to pytc predict; the same command resumes",
        "INFERENCE.UNPAD": "padding is always taken off",
        "INFERENCE.OUTPUT_SCALE": "predictions stay on the grid that the network saw, the segmentation is on that of the input",
        "INFERENCE.DO_EVAL": "networks always predict in evaluation; a batch's statistics would depend on its other windows",
        "INFERENCE.TEST_NUM": "had no effect in v1.0.0",
        "INFERENCE.TEST_ID": "had no effect in v1.0.0",
        "INFERENCE.SAMPLES_PER_BATCH": "windows are predicted one by one; the result is the same",
        "INFERENCE.MODEL_RETURN_FEATS": _RETURNED,
    }
)
"""What happens instead of a key that decides nothing here."""


def fields_of(key: str) -> list[str]:
    """The fields and files that a key decides."""
    return [field for field, keys in FIELDS.items() if key in keys]
