"""What malloc does with freed memory."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc, mallopt(3)
LARGEST_MMAP_THRESHOLD = 32 << 20  # of older versions


def keep_freed_memory() -> bool:
    """On a CPU every pass allocates and frees the same tens of megabytes. glibc gives them back to the kernel each time and
    faults them in again page by page, up to a tenth of a small model's step (docs/decisions/035); from here on it keeps
    up to 1 GiB. False where the libc is another or takes no such settings."""
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD) and libc.mallopt(M_TRIM_THRESHOLD, 1 << 30))
