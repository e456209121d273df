"""Freed memory stays with the process: the kernel does not hand the same pages out again for each pass."""

import platform
import subprocess
import sys

import pytest

# Blocks as a pass takes them, four times after four to warm up; prints the page faults.
PASSES = """
import ctypes, resource, sys
from influence.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes, libc.memset.argtypes = [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
for n in range(8):
    if n == 4:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [libc.malloc(24 << 20) for _ in range(4)]
    for block in held:
        libc.memset(block, 1, 24 << 20)
    for block in held:
        libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_what_was_freed_is_used_again_without_page_faults():
    faults = lambda word: int(subprocess.check_output([sys.executable, "-c", PASSES, word], text=True, timeout=120))
    assert faults("keep") < faults("as ever") / 10
