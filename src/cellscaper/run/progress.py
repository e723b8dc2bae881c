"""Progress of long work: a bar on a terminal, plain log lines elsewhere, both with the time left."""

import contextlib
import sys
import time

from tqdm import tqdm


def log(text: str) -> None:
    """Print one plain line to standard error, at once.

    If standard error is closed (a scheduler has ended the rest of the job), the line is lost, but the work goes on.
    """
    with contextlib.suppress(BrokenPipeError):
        print(text, file=sys.stderr, flush=True)


class Progress:
    """Counts ``total`` units of ``what``; a context manager.

    On a terminal it is a tqdm bar. Elsewhere (log files, Snakemake, SLURM) it prints one line every
    ``interval`` seconds and one at the end: ``what 300/1000 (30 %), loss 0.02, 1 min 10 s left``. ``quiet``: nothing.
    """

    def __init__(self, total: int, what: str, start: int = 0, interval: float = 10.0, quiet: bool = False):
        self.total, self.what, self.done, self.start = total, what, start, start
        self.interval, self.quiet = interval, quiet
        self._began = self._said = time.monotonic()
        self._bar = tqdm(total=total, initial=start, desc=what) if sys.stderr.isatty() and not quiet else None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None and not self.quiet:
            log(f"{self.what} {self.done}/{self.total} done in {duration(time.monotonic() - self._began)}")

    def update(self, n: int = 1, **values: float) -> None:
        """Count ``n`` more units; ``values`` (e.g. the loss) are shown after the count."""
        self.done += n
        if self._bar is not None:
            self._bar.set_postfix(values, refresh=False)
            self._bar.update(n)
            return
        now = time.monotonic()
        if self.quiet or now - self._said < self.interval:
            return
        self._said = now
        rate = (now - self._began) / max(self.done - self.start, 1)
        shown = "".join(f", {name} {value:.4g}" for name, value in values.items())
        left = duration(rate * (self.total - self.done))
        log(f"{self.what} {self.done}/{self.total} ({100 * self.done // max(self.total, 1)} %){shown}, {left} left")


def duration(seconds: float) -> str:
    """``75.2`` → ``1 min 15 s``; days from 24 h on."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86400} d {seconds % 86400 // 3600} h"
