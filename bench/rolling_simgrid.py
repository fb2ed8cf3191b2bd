"""The rolling maintenance in SimGrid, whose flow-level network shares the cards fairly.

Built here with the C++ compiler and Debian's libsimgrid-dev; without either it says so and ends.

    python -m bench.rolling_simgrid WORKLOAD_FILE FOLDER
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from bench import rolling

SOURCE = Path(__file__).parent / "simgrid" / "rolling.cpp"
OPTIONS = ("--cfg=network/model:CM02", "--cfg=network/TCP-gamma:0", "--log=root.thres:error")
TIMEOUT_S = 900


def program(folder: Path) -> Path | str:
    """The compiled driver, or why there is none."""
    if shutil.which("g++") is None:
        return "there is no g++"
    binary = folder / "rolling-simgrid"
    words = ["g++", "-O2", "-std=c++17", str(SOURCE), "-lsimgrid", "-o", str(binary)]
    if not binary.exists() and subprocess.run(words, capture_output=True).returncode:
        return "SimGrid is not installed (Debian: libsimgrid-dev)"
    return binary


def run(path: Path, folder: Path) -> str:
    """The result line of SimGrid, or a line with the reason for which it was skipped."""
    binary = program(folder)
    if isinstance(binary, str):
        return json.dumps({"skipped": binary})
    hosts = len(rolling.records(path)) // rolling.VMS_PER_HOST
    shutil.copyfile(path, folder / f"w2_{hosts}.bin")
    words = [str(binary), str(hosts), "0", *OPTIONS]
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    return done.stdout.strip()


if __name__ == "__main__":
    print(run(Path(sys.argv[1]), Path(sys.argv[2])))
