"""Time and memory of the fingerprint, ours against nnU-Net's, on the same synthetic volume.

    python benchmarks/fingerprint.py 256 512 2048

For each extent a cube of uint8 tissue with uint32 instances is written as zarr, 64³ chunks, the labels with --levels, and for
nnU-Net, up to --largest-nnunet, as NIfTI. Each is measured in a process of its own. Rows are appended to results.md beside this
file; the volumes are deleted.

Memory is the largest resident size of one process, less what it had after its imports. nnU-Net reads a case in a worker; the
larger of the two processes counts. Linux only.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from results import append, commit, machine

TILE = 256
CELL = (64, 32, 64)
CHUNK = (64, 64, 64)
VOXEL_NM = (8.0, 8.0, 8.0)
SECTION = "## Fingerprint\n\n"
HEADER = (
    "| cube | who | wall, s | CPU, s | memory above imports, MB | voxels read | note | date | commit | machine |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extents", type=int, nargs="+")
    parser.add_argument("--largest-nnunet", type=int, default=512)
    parser.add_argument("--levels", type=int, default=1, help="of the labels' pyramid")
    parser.add_argument("--folder", type=Path, help="where the volumes are written for the time being")
    parser.add_argument("--note", default="", help="written into the rows")
    parser.add_argument("--child", choices=["ours", "nnunet"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps({"ours": _ours, "nnunet": _nnunet}[arguments.child](arguments.folder)))
        return
    for extent in arguments.extents:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            folder = Path(name)
            write_volume(folder, extent, arguments.levels)
            _row(folder, "ours", extent, arguments.note)
            if extent <= arguments.largest_nnunet:
                write_nnunet(folder)
                _row(folder, "nnunet", extent, arguments.note)


def write_volume(folder: Path, extent: int, levels: int) -> None:
    """A cube of tissue, tile by tile: the same texture, other ids. Each level has every other voxel of the one before."""
    import zarr

    tile = min(TILE, extent)
    image = zarr.create_array(str(folder / "image.zarr"), shape=(extent,) * 3, chunks=CHUNK, dtype="u1")
    zarr.create_group(str(folder / "labels.zarr"), attributes={"ome": {"version": "0.5", "multiscales": [_multiscale(levels)]}})
    stored = [
        zarr.create_array(str(folder / "labels.zarr" / str(i)), shape=(extent >> i,) * 3, chunks=CHUNK, dtype="u4")
        for i in range(levels)
    ]
    gray, ids = _tile(tile)
    count = int(ids.max())
    for number, place in enumerate(np.ndindex(*(-(-extent // tile),) * 3)):
        box = tuple(slice(i * tile, min((i + 1) * tile, extent)) for i in place)
        inside = tuple(slice(0, b.stop - b.start) for b in box)
        image[box] = gray[inside]
        here = np.where(ids > 0, ids + np.uint32(number * count), 0)[inside]
        for i, level in enumerate(stored):
            level[tuple(slice(b.start >> i, b.stop >> i) for b in box)] = here[:: 2**i, :: 2**i, :: 2**i]


def _multiscale(levels: int) -> dict[str, object]:
    """The metadata of a pyramid that is halved from level to level."""
    axes = [{"name": a, "type": "space", "unit": "nanometer"} for a in "zyx"]
    scales = [[{"type": "scale", "scale": [s * 2**i for s in VOXEL_NM]}] for i in range(levels)]
    datasets = [{"path": str(i), "coordinateTransformations": scale} for i, scale in enumerate(scales)]
    return {"name": "labels", "axes": axes, "datasets": datasets}


def _tile(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Warped boxes with dark borders and noise, periodic."""
    z, y, x = np.meshgrid(*(np.arange(side, dtype=np.float32),) * 3, indexing="ij", sparse=True)
    turn = np.float32(2 * np.pi / side)
    where = (
        z + 6 * np.sin(turn * 2 * y) + 4 * np.sin(turn * 3 * x),
        y + 5 * np.sin(turn * 3 * z) + 3 * np.sin(turn * 4 * x),
        x + 6 * np.sin(turn * 2 * z) + 4 * np.sin(turn * 5 * y),
    )
    ids, nearest = np.zeros((side,) * 3, np.uint32), np.full((side,) * 3, np.float32(np.inf))
    for along, cell in zip(where, CELL, strict=True):
        count = max(1, side // cell)
        number, rest = np.divmod(along, np.float32(cell))
        ids = ids * np.uint32(count) + number.astype(np.int32).astype(np.uint32) % np.uint32(count)
        nearest = np.minimum(nearest, np.minimum(rest, cell - rest))
    noise = np.random.default_rng(0).normal(0, 12, ids.shape).astype(np.float32)
    gray = 150 - 80 * np.exp(-((nearest / 2) ** 2)) + noise
    return gray.clip(0, 255).astype(np.uint8), np.where(nearest > 1.5, ids + 1, 0).astype(np.uint32)


def write_nnunet(folder: Path) -> None:
    """The same volume in nnU-Net's raw layout."""
    import SimpleITK as sitk  # noqa: N813
    import zarr

    raw = folder / "raw" / "Dataset001_cube"
    for stored, kind, name in (("image.zarr", "imagesTr", "a_0000"), ("labels.zarr/0", "labelsTr", "a")):
        (raw / kind).mkdir(parents=True)
        picture = sitk.GetImageFromArray(zarr.open_array(str(folder / stored), mode="r")[:])
        picture.SetSpacing(VOXEL_NM[::-1])
        sitk.WriteImage(picture, str(raw / kind / f"{name}.nii"))
    described = {
        "channel_names": {"0": "em"},
        "labels": {"background": 0, "foreground": 1},
        "numTraining": 1,
        "file_ending": ".nii",
        "overwrite_image_reader_writer": "SimpleITKIO",
    }
    (raw / "dataset.json").write_text(json.dumps(described))


def _row(folder: Path, who: str, extent: int, note: str) -> None:
    """Measure in a process of its own and write the row."""
    paths = {"nnUNet_raw": "raw", "nnUNet_preprocessed": "preprocessed", "nnUNet_results": "results"}
    environment = os.environ | {name: str(folder / path) for name, path in paths.items()}
    command = [sys.executable, __file__, "0", "--child", who, "--folder", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise SystemExit(f"{who} failed on {extent}³")
    found = json.loads(done.stdout.splitlines()[-1])
    name = {"ours": "pytc_auto", "nnunet": "nnU-Net"}[who]
    append(
        f"| {extent}³ | {name} | {found['wall']:.1f} | {found['cpu']:.1f} | {found['megabytes']:.0f} | {found['read']:.1%} "
        f"| {note} | {datetime.date.today()} | {commit()} | {machine()} |\n",
        section=SECTION,
        header=HEADER,
    )


def _ours(folder: Path) -> dict[str, float]:
    import cc3d
    import edt
    import fastremap
    import scipy.fft
    import scipy.ndimage
    import scipy.sparse.csgraph
    import scipy.spatial
    import zarr

    from pytc_auto.fingerprint.measure import measure
    from pytc_auto.schema.dataset import Dataset, VolumeEntry

    assert all((cc3d, edt, fastremap, scipy, zarr))
    entry = VolumeEntry(
        name="cube",
        image=str(folder / "image.zarr"),
        labels=str(folder / "labels.zarr"),
        voxel_size_nm=VOXEL_NM,
        axes="zyx",
        unlabeled_sections=[],
    )
    dataset = Dataset(root=str(folder), task=None, unlabeled=[], class_names={}, volumes=[entry])
    watch = _Watch()
    found = measure(dataset).fingerprint
    return {**watch.read(), "read": found.sampled_fraction}


def _nnunet(folder: Path) -> dict[str, float]:
    from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    assert SimpleITKIO
    assert folder.is_dir()
    watch = _Watch()
    DatasetFingerprintExtractor("Dataset001_cube", num_processes=1).run()
    return {**watch.read(), "read": 1.0}


class _Watch:
    """Wall clock, CPU time and memory from now on."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")
        self.memory = _megabytes("VmRSS")
        self.processor = _cpu()
        self.started = time.monotonic()

    def read(self) -> dict[str, float]:
        wall = time.monotonic() - self.started
        worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        return {"wall": wall, "cpu": _cpu() - self.processor, "megabytes": max(_megabytes("VmHWM"), worker) - self.memory}


def _megabytes(field: str) -> float:
    """Memory of this process; the kernel forgets the peak when 5 is written to clear_refs."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def _cpu() -> float:
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


if __name__ == "__main__":
    main()
