"""When, on what, and with which versions: what a number needs in order to be compared with another."""

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from threadpoolctl import threadpool_info

ROOT = Path(__file__).resolve().parents[1]


def circumstances(code, packages):
    """The state of this run: `code` are the paths that the results depend on, besides these scripts."""
    cpu = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    versions = {package: importlib.metadata.version(package) for package in packages}
    blas = {pool["internal_api"]: pool["version"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git("rev-parse", "HEAD"),
        "changed_since_commit": bool(git("status", "--porcelain", "--", *code, ":(glob)benchmarks/*.py")),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "threads": 1,
        "versions": {"python": platform.python_version()} | versions | blas,
    }


def git(*arguments):
    """What git prints, without the last newline; nothing where there is no repository."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()
