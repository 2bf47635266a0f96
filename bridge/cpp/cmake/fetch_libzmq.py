"""Fetches libzmq's sources into a folder, once: those that the source distribution of pyzmq 25.1.2 bundles.

python fetch_libzmq.py FOLDER
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

NAME = "pyzmq-25.1.2"
SHA256 = "93f1aa311e8bb912e34f004cf186407a4e90eec4f0ecc0efd26056bf7eda0226"


def fetch(folder: Path) -> None:
    """Raises OSError or CalledProcessError when it cannot be had, ValueError when it is not what it should be."""
    if (folder / NAME / "bundled/zeromq/src/zmq.cpp").is_file():
        return
    print(f"Fetching libzmq 4.3.4 (in {NAME}.tar.gz) with pip.", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        wanted = ["--no-deps", "--no-binary", "pyzmq", "pyzmq==25.1.2"]
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "-d", scratch, *wanted], check=True)
        archive = Path(scratch, f"{NAME}.tar.gz")
        if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
            raise ValueError(f"{archive.name} is not the file expected (SHA-256 {SHA256})")
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as packed:
            safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # not in Python 3.11.2
            packed.extractall(folder, **safe)  # type: ignore[arg-type]


if __name__ == "__main__":
    try:
        fetch(Path(sys.argv[1]))
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"libzmq's sources cannot be had ({error}); go online, or give -DLATENSIFY_LIBZMQ_SOURCE=folder.")
