"""Builds our CloudSim Plus drivers, where Java and Maven are there.

The library comes from Maven Central. The answer is the command that runs a driver, or the reason
why there is none.
"""

import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent / "cloudsimplus"
VERSION = "8.5.7"
BUILD_TIMEOUT_S = 300


def command(driver: str, folder: Path) -> list[str] | str:
    """The command of a driver (the name of its class) without its arguments, built in `folder`;
    or why it cannot be had."""
    missing = [tool for tool in ("java", "javac", "mvn") if shutil.which(tool) is None]
    if missing:
        return f"not on this machine: {', '.join(missing)}"
    class_path = folder / "class-path.txt"
    classes = folder / "classes"
    resolve = ["mvn", "--quiet", "--batch-mode", "-f", str(SOURCES / "pom.xml")]
    resolve += ["dependency:build-classpath", f"-Dmdep.outputFile={class_path}"]
    reason = "" if class_path.exists() else _failure(resolve)
    if reason:
        return reason
    jars = class_path.read_text().strip()
    sources = [str(source) for source in sorted(SOURCES.glob("*.java"))]
    reason = _failure(["javac", "-cp", jars, "-d", str(classes), *sources])
    return reason or ["java", "-cp", f"{classes}:{jars}", driver]


def _failure(words: list[str]) -> str:
    """'' when the command succeeds, else its last line."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"{words[0]} did not end within {BUILD_TIMEOUT_S} s"
    lines = (done.stderr or done.stdout).strip().splitlines()
    return "" if done.returncode == 0 else f"{words[0]} failed: {lines[-1] if lines else ''}"
