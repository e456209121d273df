"""What malloc does with freed memory."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc, mallopt(3)
LARGEST_MMAP_THRESHOLD = 32 << 20  # of older versions


def keep_freed_memory() -> None:
    """On a CPU every pass allocates and frees the same tens of megabytes. glibc gives them back to the kernel each time and
    faults them in again page by page, up to a tenth of a small model's step (docs/decisions/035); from here on it keeps
    up to 1 GiB. Does nothing with another libc."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        libc.mallopt(M_TRIM_THRESHOLD, 1 << 30)
