"""The emulator's package on the path, and one MiniStack with our hooks in it for all tests of this folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
IMAGES = HERE.parents[2] / "test" / "integration" / "emulator" / "images"


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """SageMaker as installed; MiniStack's modules are patched for the rest of the session."""
    from openledger_emulator import settings

    chosen = settings.Settings(
        port=4566, state=tmp_path_factory.mktemp("state"), images=IMAGES, region="us-east-1", auth=False, control_token="t"
    )
    settings.export(chosen)
    from openledger_emulator import assembly

    return assembly.install(chosen)
