"""malloc is told to keep what is freed."""

import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_glibc_takes_both_settings():
    code = "from influence.allocator import keep_freed_memory; print(keep_freed_memory())"  # not in the tests' own process
    assert subprocess.check_output([sys.executable, "-c", code], text=True, timeout=120) == "True\n"
