from __future__ import annotations

import subprocess
import sys


def test_help_imports_nothing_heavy():
    heavy = "torch", "monai", "pytorch_lightning", "nnunetv2", "skimage", "zarr", "h5py", "matplotlib"
    code = (
        "import sys; sys.argv = ['pytc', '--help']\n"
        "from pytc_auto.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"print([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "predict" in done.stdout
    assert done.stderr.strip().endswith("[]")
