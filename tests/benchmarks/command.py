"""What a whole run costs: python -m tests.benchmarks.command retrain-all|retrain-store OPTIONS-OF-FOREACT-RUN.

Runs `foreact run` with these options in a workspace of its own (or the one that --workspace names), and prints the
seconds of each step, of the whole command, and the peak memory of the largest process in each step.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from foreact.steps import STEPS


class Memory:
    """The largest resident set that any process of a tree has had, by the step that was under way."""

    def __init__(self, process: "subprocess.Popen[str]", runs: Path) -> None:
        self.peaks: dict[str, float] = {}
        self._process, self._runs = process, runs
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while self._process.poll() is None:
            step = current_step(self._runs)
            for pid in family(self._process.pid):
                self.peaks[step] = max(self.peaks.get(step, 0), resident(pid))
            time.sleep(0.1)


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in family(int(child)))]


def resident(pid: int) -> float:
    """Return what a process has in memory, in GiB."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0) / 1024**2


def events(runs: Path) -> list[dict]:
    files = sorted(runs.glob("*/events.jsonl"))
    return [json.loads(line) for line in files[-1].read_text().splitlines()] if files else []


def current_step(runs: Path) -> str:
    begun = [e["step"] for e in events(runs) if e.get("event") == "step" and e["step"] in STEPS]
    return begun[-1] if begun else "start"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        given = sys.argv[1:]
        if "--workspace" in given:
            workspace = given[given.index("--workspace") + 1]
        else:
            workspace, given = folder, [*given, "--workspace", folder]
        runs = Path(workspace, "runs")
        begun = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "commands", "run", *given], stderr=subprocess.PIPE, text=True)
        memory = Memory(process, runs)
        _, told = process.communicate()
        whole = time.perf_counter() - begun
        if process.returncode:
            sys.exit(told)
        seconds = {e["step"]: e["seconds"] for e in events(runs) if e.get("state") == "succeeded"}
        sys.stdout.write(f"{'step':<10}{'seconds':>9}{'GiB':>7}\n")
        for step in STEPS:
            sys.stdout.write(f"{step:<10}{seconds[step]:>9.1f}{memory.peaks.get(step, 0):>7.2f}\n")
        sys.stdout.write(f"{'whole':<10}{whole:>9.1f}{max(memory.peaks.values()):>7.2f}\n")


if __name__ == "__main__":
    main()
