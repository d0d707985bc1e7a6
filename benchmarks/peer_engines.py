"""Extraction engines of others, each in a process of its own, with a cache of their texts.

The process has the peers' environment if ours lacks the engine. It starts with the first page that is not in the cache.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.rows import PEERS, ROOT
from cleaners.extraction.training.pages import TruthPage

SCRIPT = ROOT / "benchmarks" / "peers" / "extractors.py"
# The engines that Gristmill can run are installed with it; trafilatura is older in the peers' environment.
PYTHONS = {
    "trafilatura": Path(sys.executable),
    "resiliparse": Path(sys.executable),
    "readability-lxml": PEERS,
    "magic-html": PEERS,
    "jusText": PEERS,
}


class PeerEngine:
    """An engine by its name; `version` is None if it is not installed. The cache is of this version and this script."""

    def __init__(self, name: str, cache: Path) -> None:
        self._command = [str(PYTHONS[name]), str(SCRIPT), name]
        self.version = self._version()
        settings = hashlib.sha256(SCRIPT.read_bytes()).hexdigest()[:8]
        self._cache = cache / f"{name}-{self.version}-{settings}.jsonl"
        self._texts = _cached(self._cache)
        self._process: subprocess.Popen[str] | None = None

    def text(self, page: TruthPage) -> str:
        """The main text of a page, by the cache if it is there."""
        digest = _digest(page)
        if digest not in self._texts:
            self._texts[digest] = self._extract(page)["text"]
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            with self._cache.open("a", encoding="utf-8") as file:
                file.write("\n" + json.dumps({"page": digest, "text": self._texts[digest]}))
        return str(self._texts[digest])

    def seconds(self, page: TruthPage) -> float:
        """CPU time of the extraction, without the cache."""
        return float(self._extract(page)["seconds"])

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()

    def _version(self) -> str | None:
        if not Path(self._command[0]).exists():
            return None
        done = subprocess.run([*self._command, "--version"], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    def _extract(self, page: TruthPage) -> dict[str, Any]:
        if self._process is None:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps({"url": page.url, "html": page.html, "language": str(page.truth.get("language") or "")})
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        if not (answer := self._process.stdout.readline()):
            sys.exit(f"{' '.join(self._command)}: ended at {page.url}")
        return dict(json.loads(answer))


def _cached(path: Path) -> dict[str, str]:
    texts = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            found = json.loads(line)
        except json.JSONDecodeError:  # an empty line, or one that was cut when a run was stopped: it is made again
            continue
        texts[found["page"]] = found["text"]
    return texts


def _digest(page: TruthPage) -> str:
    parts = (page.url, str(page.truth.get("language") or ""), page.html)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:24]
