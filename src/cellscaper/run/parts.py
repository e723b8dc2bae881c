"""Parts of many layouts: which rows each has, and those that are finished while the others are still made."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from cellscaper.disk.hdf5 import Provenance, read_whole
from cellscaper.disk.storage import read_provenance
from cellscaper.errors import CellscaperError
from cellscaper.plan.provenance import digest
from cellscaper.run.progress import Progress, log

BATCHES = 8  # batches in a part that is kept: what a kill costs at most


def part_numbers(part: str, parts: str) -> tuple[int, int]:
    """The texts of ``--part`` and ``--parts`` as numbers; :func:`part_rows` checks that there is such a part."""
    if not (part.isdecimal() and parts.isdecimal()):
        raise CellscaperError(f"--part {part} --parts {parts}: expected whole numbers, for example --part 3 --parts 50")
    return int(part), int(parts)


def part_rows(total: int, unit: int, number: int, parts: int) -> range:
    """The rows of part ``number`` (1 … ``parts``) of ``total`` rows. Parts begin at multiples of ``unit`` rows.

    So a batch of ``unit`` rows has the same rows whatever the number of parts. CellscaperError if a part would be
    empty, or if there is no such part.
    """
    units = -(-total // unit)
    if parts < 1:
        raise CellscaperError(f"part {number} of {parts}: a set has at least one part")
    if not 1 <= number <= parts:
        raise CellscaperError(f"part {number} of {parts}: expected a part from 1 to {parts}")
    if parts > units:
        at_once = f", made {unit} at a time," if unit > 1 else ""
        raise CellscaperError(f"{parts} parts of {total} layouts{at_once}: there can be at most {units} parts")
    return range(unit * (units * (number - 1) // parts), min(unit * (units * number // parts), total))


class KeptParts:
    """Finished parts of an output in ``state/`` beside it, which Snakemake does not know: a killed stage goes on.

    Parts are made in order, each a file with ``provenance``. Parts of another ``bound`` (all that the output depends
    on, JSON) and damaged ones are made again, with a log line.
    """

    def __init__(self, output: Path, schema: str, bound: Sequence[Any]):
        self.folder, self._schema = Path(output).parent / "state", schema
        self.provenance: Provenance = {"state": digest(list(bound))}

    @classmethod
    def of(cls, output: Path, schema: str, provenance: Provenance, seeds: Sequence[int]) -> Self:
        """Parts of an output with a record, for things with these seeds."""
        bound = [*(provenance[key] for key in ("config", "inputs", "seed", "code")), list(seeds[:1]), len(seeds)]
        return cls(output, schema, bound)

    def make(
        self, total: int, size: int, what: str, part: Callable[[Path, range, Callable[[int], None]], None]
    ) -> list[Path]:
        """The files of all parts of ``total`` things, ``size`` a part; those that are not finished are made.

        ``part(file, rows, advance)`` writes one and calls ``advance`` with the number of things that were made.
        ``what`` names the work in progress lines. Nothing at all is one empty part.
        """
        done = min(self.finished() * size, total)
        if done:
            log(f"{what}: going on after {done} of {total}")
        files = [self.file(number) for number in range(max(-(-total // size), 1))]
        with Progress(total, what, start=done) as progress:
            for number in range(-(-done // size), len(files)):
                part(files[number], range(number * size, min((number + 1) * size, total)), progress.update)
        return files

    def file(self, number: int) -> Path:
        """The file of a part."""
        return self.folder / f"part{number:06d}.h5"

    def finished(self) -> int:
        """The number of parts from the first on that are there and whole."""
        number = 0
        while self.file(number).exists() and self._is_whole(self.file(number)):
            number += 1
        return number

    def _is_whole(self, file: Path) -> bool:
        try:
            if read_provenance(file) != self.provenance:
                log(f"{self.folder}: saved parts are of other code, data or settings; starting anew")
                self.clear()
                return False
            read_whole(file, self._schema)
        except CellscaperError:
            log(f"{file}: this saved part is damaged; making it again")
            return False
        return True

    def clear(self) -> None:
        """Remove all parts, and the folder if nothing else is in it."""
        for file in self.folder.glob("*part*.h5*"):  # with those that a killed writer left
            file.unlink()
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()
