"""A child process that extracts pages and may be killed at any time.

    worker ──page k──▶ child                 one page in flight; the worker decodes page k+1 meanwhile
           ◀──text k──

Extraction runs C code (libxml2) over hostile input. It can loop, crash or exhaust memory, and no Python timeout
interrupts C code. The kernel does: a CPU-time timer and an address-space limit, which the child sets on itself, kill
it. The worker sees the pipe close, starts another child and goes on. The limits are a last resort: pages with too many
bytes or elements or too deep nesting are refused before.

A frame on the pipes is two lengths (8 bytes each, little endian), a pickle, and bytes that are not copied into the
pickle: the UTF-8 of a page.
"""

import fcntl
import os
import pickle
import signal
import subprocess
import sys
from typing import IO, Any

from cleaners.engines.page_metadata import Metadata, page_metadata
from shards.errors import RunError

PAGES_PER_CHILD = 5_000  # then a new child: libxml2 and Python keep memory that they once allocated
CPU_SECONDS = 30.0  # for one page; the slowest of 3,013 real pages takes under 1 s
MEMORY_BYTES = 4 << 30  # address space; the interpreter with trafilatura maps .4 GB

_PIPE_BYTES = 1 << 20  # Linux gives this to any user: a page fits in, and the worker goes on while the child reads
_OUT_OF_MEMORY = 77  # exit code of the child


class Killed(Exception):
    """The child died on this page; the message is the cause."""


class ExtractionChild:
    """Extracts one page at a time in a process that starts with the first page. Call `send` and `receive` in turn."""

    def __init__(self, engine: str, favour: str, *, metadata: bool = False, cpu_seconds: float = CPU_SECONDS) -> None:
        self._arguments = (engine, favour, int(metadata), cpu_seconds)
        self._process: subprocess.Popen[bytes] | None = None
        self._pages = 0

    def send(self, html: bytes, url: str, date: str = "") -> None:
        """Send a page. `html` is UTF-8, `date` the day on which it was fetched."""
        if self._process is None or self._pages == PAGES_PER_CHILD:
            self.close()
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._pages += 1
        try:
            _write(self._process.stdin, (url, date), html)
        except BrokenPipeError:
            pass  # the child died while reading; `receive` raises

    def receive(self) -> tuple[str, Metadata]:
        """Text and metadata of the page sent last.

        Raises Killed if the child died on it, ValueError if the engine failed on it, and RunError if the engine does
        not start at all.
        """
        assert self._process is not None
        assert self._process.stdout is not None
        frame = _read(self._process.stdout)
        if frame is None:
            code = self._process.wait()
            self._process = None
            raise Killed(_cause(code))
        (metadata, error), text = frame
        if metadata is None:
            raise RunError(f"the extraction engine {self._arguments[0]} does not start: {error}; install it again")
        if error:
            raise ValueError(error)
        return text.decode("utf-8", "surrogatepass"), metadata

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        self._pages = 0

    def _start(self) -> None:
        command = [sys.executable, "-m", "cleaners.engines.child", *map(str, self._arguments), str(os.getpid())]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if sys.platform == "linux" and self._process.stdin is not None:
            try:
                fcntl.fcntl(self._process.stdin, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            except OSError:
                pass  # the user's pipes are at their limit; a smaller pipe is only slower
        self._pages = 0


def _cause(code: int) -> str:
    if code == -signal.SIGPROF:
        return "cpu_time"
    return "memory" if code in (_OUT_OF_MEMORY, -signal.SIGKILL) else "crash"


def _write(pipe: IO[bytes], value: Any, data: bytes) -> None:
    head = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    pipe.write(len(head).to_bytes(8, "little") + len(data).to_bytes(8, "little") + head)
    pipe.write(data)
    pipe.flush()


def _read(pipe: IO[bytes]) -> tuple[Any, bytes] | None:
    sizes = pipe.read(16)
    if len(sizes) < 16:
        return None
    head = pipe.read(int.from_bytes(sizes[:8], "little"))
    data = pipe.read(int.from_bytes(sizes[8:], "little"))
    return pickle.loads(head), data


def _serve(engine: str, favour: str, with_metadata: bool, cpu_seconds: float, parent: int) -> None:
    """Run the child: set limits, then extract page after page until the pipe closes."""
    import ctypes
    import logging
    import resource

    from cleaners.engines import ENGINES

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which still needs this page
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: die with the worker …
        if os.getppid() != parent:  # … also if it died before this line
            return
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    extract = ENGINES[engine]
    try:
        extract("<p>Does it start?</p>", "", favour=favour)
    except Exception as error:  # noqa: BLE001  the process boundary: a broken installation is no fault of the pages
        _write(answers, (None, f"{type(error).__name__}: {error}"), b"")
        return
    while (page := _read(sys.stdin.buffer)) is not None:
        (url, date), utf8 = page
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)  # default action of SIGPROF: the kernel ends the process
        metadata, error_text, text = Metadata(), "", ""
        try:
            html = utf8.decode("utf-8", "surrogatepass")
            text = extract(html, url, favour=favour)
            if with_metadata:
                metadata = page_metadata(html, url, date)
        except MemoryError:
            os._exit(_OUT_OF_MEMORY)
        except Exception as error:  # noqa: BLE001  the process boundary: the worker records it as a failed page
            error_text = f"{type(error).__name__}: {error}"
        signal.setitimer(signal.ITIMER_PROF, 0)
        try:
            _write(answers, (metadata, error_text), text.encode("utf-8", "surrogatepass"))
        except BrokenPipeError:
            return  # the worker has ended


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2], sys.argv[3] == "1", float(sys.argv[4]), int(sys.argv[5]))
