from __future__ import annotations

from tests_pipeline import quick, undrawn  # noqa: F401
