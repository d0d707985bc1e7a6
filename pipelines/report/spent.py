"""What a run took: `seconds.json`, the one file of a finished run that holds times, machine and workers.

Nothing else of a run depends on it. The page shows it; `report.json` does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from pipelines.run.folder import RunFolder


@dataclass(frozen=True)
class Spent:
    stages: tuple[tuple[str, float], ...] = ()  # seconds of work over all workers and attempts, in the order of the run
    wall_s: float | None = None  # of the attempt that ended the run
    finished: str = ""  # when it ended, ISO 8601 in UTC
    workers: int = 1
    machine: str = ""
    command: str = ""

    @classmethod
    def of(cls, run: RunFolder, stages: Sequence[str]) -> Self:
        """Of a finished run whose stages these are; without anything where it was not stored."""
        if not run.has(RunFolder.SECONDS):
            return cls()
        stored = run.read_json(RunFolder.SECONDS, dict[str, Any])
        seconds = stored.get("stages", stored)  # runs of older versions have stages alone
        order = ["read", *stages, "write"]
        known = {key: stored[key] for key in ("wall_s", "finished", "workers", "machine", "command") if key in stored}
        return cls(tuple((name, float(seconds[name])) for name in order if name in seconds), **known)
