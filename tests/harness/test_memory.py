"""What a training process is started with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.memory import with_huge_pages


def test_huge_pages_are_asked_for_beside_what_the_user_tunes_and_never_against_it() -> None:
    assert with_huge_pages({"A": "b"}) == {"A": "b", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    own = {"GLIBC_TUNABLES": "glibc.malloc.check=1"}
    assert with_huge_pages(own)["GLIBC_TUNABLES"] == "glibc.malloc.check=1:glibc.malloc.hugetlb=1"
    refused = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}
    assert with_huge_pages(refused) == refused


@pytest.mark.skipif(
    "[never]"
    in (
        Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
        if Path("/sys/kernel/mm").exists()
        else "[never]"
    ),
    reason="this kernel gives no huge pages to anyone",
)
def test_a_process_started_so_holds_large_blocks_in_huge_pages() -> None:
    code = (
        "import ctypes\n"
        "from harness.memory import keep_freed_memory\n"
        "keep_freed_memory()\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc.restype = ctypes.c_void_p\n"
        "size = 64 << 20\n"
        "ctypes.memset(libc.malloc(ctypes.c_size_t(size)), 1, size)\n"
        "lines = open('/proc/self/smaps_rollup').read().splitlines()\n"
        "print(next(int(line.split()[1]) for line in lines if line.startswith('AnonHugePages:')))\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=with_huge_pages(os.environ), capture_output=True, text=True, check=True)
    assert int(done.stdout) > 32 << 10, "of the 64 MiB, most lies in pages of 2 MiB (kilobytes counted)"
