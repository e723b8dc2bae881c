"""The split of a folder's images: lists of names, folders named after splits, else at random."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from cellscaper.datasets.dots import Fractions, Lists
from cellscaper.datasets.folder_files import FolderFiles, escaped, has_place
from cellscaper.datasets.identity import Names
from cellscaper.datasets.pictures import words
from cellscaper.datasets.record import SPLITS
from cellscaper.datasets.split_lists import ENDINGS, Listing, folder_splits, listed_splits, listing, split_in
from cellscaper.datasets.splits_of_cells import has_split_column, of_own_files, table_of_cells
from cellscaper.disk.formats.counted import counted, counted_are
from cellscaper.disk.formats.reading import suffix
from cellscaper.disk.formats.text_table import short
from cellscaper.errors import CellscaperError

VAL = 0.1  # share of the training images that become validation images where no list names any
_FEW, _SMALL = 5, 1_000_000  # unused tables in a folder that are looked into, bytes of each
_SPLITS = frozenset(("split", "splits", "fold", "folds", "partition", "dataset", "sets"))
_SURE = frozenset(("split", "splits", "partition", "partitions"))  # names of files that can be nothing but splits
_OTHER = frozenset(
    ("log", "logs", "loss", "result", "results", "score", "scores", "metrics", "history", "config", "notes")
)


def find_split(
    folder: FolderFiles, images: Sequence[str], cells: Mapping[str, str], patterns: Sequence[str],
    reasons: dict[str, str],
) -> tuple[Lists | Fractions, str, list[str]]:  # fmt: skip
    """The setting of a split, how it was found, and the names of its files; ``reasons`` gets why tables are not used.

    ``cells``: image → its file of cells, ``patterns``: the places of these. CellscaperError for lists that name no
    image or contradict each other, and for a part of the lists.
    """
    names = Names(images)
    lists = _lists(folder, names, set(cells.values()), reasons)
    if lists:
        return _setting(lists, names)
    if (own := _own_files(folder, cells, patterns)) is not None:
        return own
    folders = _folders(images)
    if folders:
        return folders
    fractions = Fractions(train=0.7, val=0.1, test=0.2, seed=0)
    return fractions, "at random: 70, 10 and 20 % of the images, seed 0", []


def names_say(images: Sequence[str]) -> str | None:
    """The sentence about images whose file names say train and test, which no list or folder does; None without."""
    said = {image: split for image in images if (split := split_in(PurePosixPath(image).stem)) is not None}
    first = {split: image for image, split in reversed(list(said.items()))}
    if "train" not in first or "test" not in first or len(said) < 0.9 * len(images):
        return None
    return (
        f"the names of {counted(len(said), 'images')} say a split ({first['train']} train, {first['test']} test), and "
        "it is made at random: list the images of each split in train.txt, val.txt and test.txt if the names are right"
    )


def too_few(number: int, split: Lists | Fractions) -> str | None:
    """The sentence about images that are too few for the fractions of a split; None if they are enough."""
    if isinstance(split, Lists) or _enough(number, split):
        return None
    least = next(one for one in range(number, 1000) if _enough(one, split))
    images = counted_are(number, "images")
    few = (
        "add images, or cut large ones into several"
        if number < len(SPLITS)
        else "add images, or list those that you have in train.txt, val.txt and test.txt in the folder"
    )
    return f"{images} too few for a split at random into train, val and test, which needs {least}: {few}"


def _enough(number: int, split: Fractions) -> bool:
    held = [round(number * share) for share in (split.val, split.test)]
    return all(one >= 1 or share == 0 for one, share in zip(held, (split.val, split.test), strict=True)) and (
        number > sum(held) or split.train == 0
    )


def _lists(
    folder: FolderFiles, names: Names, used: set[str], reasons: dict[str, str]
) -> dict[str, list[tuple[str, Listing]]]:
    """The lists of each split: files named after it, or a table with a column of splits."""
    found: dict[str, list[tuple[str, Listing]]] = {}
    empty: list[tuple[str, Listing]] = []
    gone = [name for name in folder.lost if split_in(PurePosixPath(name).stem) and _is_list(PurePosixPath(name))]
    if any(name.lower().endswith(ENDINGS) for name in gone):
        raise CellscaperError(f"{gone[0]} is a link that leads nowhere; give the list of images, or take the link away")
    few = _few_tables(folder, used)
    common = [name for name in sorted(used) if _is_common(name, used, names)]
    for name in common if len(common) == 1 else ():
        for one, own in table_of_cells(folder.paths[name], names).items():
            found.setdefault(one, []).append((name, own))
    for name, path in folder.paths.items():
        inner = PurePosixPath(name)
        if inner.suffix.lower() not in ENDINGS or path.stat().st_size > 50_000_000:
            continue
        split = split_in(inner.stem)
        if split is None:
            told = bool(words(inner.stem) & _SPLITS)
            if name in used or not (told or (name in few and not words(inner.stem) & _OTHER)):
                continue
            parts = _parts(path, names)
            for one, own in parts.items():
                found.setdefault(one, []).append((name, own))
            if not parts and (told or has_split_column(path)) and _names_images(path, names):
                if words(inner.stem) & _SURE:
                    raise CellscaperError(
                        f"{path} names images, and no column puts them into train, val and test; write these words "
                        "into it, or take it away"
                    )
                reasons[name] = "it names images, and no column puts them into train, val and test"
            continue
        if words(inner.stem) & _OTHER:
            continue
        if name in used and not _is_common(name, used, names):
            continue
        try:
            own = listing(path, names)
        except CellscaperError:
            if _is_list(inner):
                raise
            continue
        if own.images and (len(own.images) * 2 >= own.entries or _is_list(inner)):
            found.setdefault(split, []).append((name, own))
        elif own.entries and _is_list(inner):
            empty.append((name, own))
    wrong = [one for one in empty if split_in(PurePosixPath(one[0]).stem) not in found]
    if wrong:
        name, own = wrong[0]
        place, entry = own.unknown[0]
        raise CellscaperError(
            f"{place}: {short(entry)} is no image of the folder, and none of the {_entries(own.entries)} of {name} is; "
            f"expected names as {names.images[0]}; correct the list or take it away"
        )
    return found


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"


def against_folders(images: Sequence[str], where: Mapping[str, str], val_listed: bool) -> str | None:
    """The sentence about images that lists put into another split than the names of their folders; None without.

    Without a list of validation images these are training images.
    """
    where = {image: "train" if split == "val" and not val_listed else split for image, split in where.items()}
    said = {folder: split for split, folders in folder_splits(images).items() for folder in folders}
    wrong = [
        image
        for image, split in where.items()
        if any(said.get(str(folder), split) != split for folder in PurePosixPath(image).parents)
    ]
    if not wrong:
        return None
    others = "another split than its folder does" if len(wrong) == 1 else "other splits than their folders do"
    return (
        f"the lists put {counted(len(wrong), 'images')} into {others}, first {wrong[0]} into {where[wrong[0]]}: the "
        "lists count"
    )


def _few_tables(folder: FolderFiles, used: set[str]) -> set[str]:
    """Tables that are not used, in folders with few of them: one may have a column of splits."""
    tables: dict[str, list[str]] = {}
    for name, path in folder.paths.items():
        if name not in used and name.lower().endswith((".csv", ".tsv")) and path.stat().st_size <= _SMALL:
            tables.setdefault(str(PurePosixPath(name).parent), []).append(name)
    return {name for own in tables.values() if len(own) <= _FEW for name in own}


def _parts(path: Path, names: Names) -> dict[str, Listing]:
    """The images of each split in a table or an object for all of them, as far as it names images.

    CellscaperError with the line for an image that is in no split, where most images of the table are in one.
    """
    try:
        found = {one: listing(path, names, one) for one in sorted(listed_splits(path))}
    except CellscaperError:
        if _names_images(path, names):
            raise
        return {}
    return {one: own for one, own in found.items() if own.images}


def _names_images(path: Path, names: Names) -> bool:
    """Whether a file is a list of half of the images or more."""
    try:
        return 2 * len(listing(path, names).images) >= len(names.images)
    except CellscaperError:
        return False


def _is_common(name: str, used: set[str], names: Names) -> bool:
    """Whether a used file holds cells of several images, so that it may be a list of them, too."""
    return len(used) < max(2, len(names.images)) and suffix(Path(name)) in (".csv", ".tsv", ".json", ".h5ad")


def _is_list(path: PurePosixPath) -> bool:
    """Whether a file can only be a list by its name: train.txt, brca_test.lst, splits/val.csv."""
    rest = words(path.stem) - {"train", "training", "val", "valid", "validation", "test", "testing"}
    inner = bool(words(path.parent.name) & {"split", "splits", "list", "lists", "imagesets", "sets", "folds"})
    return path.suffix.lower() in (".txt", ".lst", ".list") or not rest or inner


def _setting(lists: dict[str, list[tuple[str, Listing]]], names: Names) -> tuple[Lists | Fractions, str, list[str]]:
    chosen: dict[str, str] = {}
    parts: dict[str, Listing] = {}
    for split, own in lists.items():
        first = own[0]
        other = next((one for one in own[1:] if set(one[1].images) != set(first[1].images)), None)
        if other is not None:
            raise CellscaperError(
                f"{first[0]} and {other[0]} both list {split} images, and differ; keep one of the two lists"
            )
        chosen[split], parts[split] = first[0], first[1]
    for split, part in parts.items():
        if part.unknown:
            place, entry = part.unknown[0]
            raise CellscaperError(
                f"{place}: {short(entry)} is no image of the folder that has cells, {len(part.unknown)} of "
                f"{_entries(part.entries)} of the {split} list are none; add them or delete the lines"
            )
    if "train" not in chosen or "test" not in chosen:
        missing = " and ".join(split for split in ("train", "test") if split not in chosen)
        raise CellscaperError(
            f"there is a list {', '.join(chosen.values())}, and none of the {missing} images; add {missing}.txt or "
            "take the list away"
        )
    val: str | float = chosen.get("val", VAL)
    files = list(dict.fromkeys(chosen.values()))
    how = "lists " + ", ".join(dict.fromkeys(chosen[split] for split in SPLITS if split in chosen))
    if "val" not in chosen:
        how += f"; no list of validation images: {VAL:.0%} of the training images, seed 0"
    return Lists(train=chosen["train"], val=val, test=chosen["test"]), how, files


def _own_files(
    folder: FolderFiles, cells: Mapping[str, str], patterns: Sequence[str]
) -> tuple[Lists | Fractions, str, list[str]] | None:
    """The split that the files of cells of one image each say; None if they say none."""
    own = [pattern for pattern in patterns if has_place(pattern)]
    alone = {image: name for image, name in cells.items() if folder.cells_of(image, own) == name}
    splits = of_own_files(folder, alone)
    if not splits:
        return None
    first = {split: alone[image] for image, split in sorted(splits.items(), reverse=True)}
    if "train" not in first or "test" not in first or len(own) > 1:
        shown = " and ".join(f"{split} (in {first[split]})" for split in SPLITS if split in first)
        raise CellscaperError(
            f"the files of cells say the splits {shown}; expected train and test at least, in files of one pattern: "
            "list the images of each split in train.txt, val.txt and test.txt"
        )
    how = f"what each {own[0]} says of its image's split"
    val: str | float = own[0]
    if "val" not in first:
        val, how = VAL, f"{how}; none of validation images: {VAL:.0%} of the training images, seed 0"
    return Lists(train=own[0], val=val, test=own[0]), how, []


def _folders(images: Sequence[str]) -> tuple[Lists | Fractions, str, list[str]] | None:
    """Folders named after splits; None if no two splits have folders."""
    found = folder_splits(images)
    if not found:
        return None
    entries: dict[str, str] = {}
    for split, folders in found.items():
        if len(folders) == 1:
            entries[split] = escaped(next(iter(folders))) + "/"
            continue
        depths = {len(folder.split("/")) for folder in folders}
        last = {folder.split("/")[-1] for folder in folders}
        if len(depths) > 1 or len(last) > 1:
            raise CellscaperError(
                f"the folders {' and '.join(sorted(folders)[:2])} both hold {split} images; list the images of each "
                "split in train.txt, val.txt and test.txt"
            )
        entries[split] = "*/" * (depths.pop() - 1) + escaped(last.pop()) + "/"
    if "train" not in entries or "test" not in entries:
        missing = " and ".join(split for split in ("train", "test") if split not in entries)
        raise CellscaperError(
            f"the folders {', '.join(sorted(entries.values()))} name splits, and none holds {missing} images; list the "
            "images of each split in train.txt, val.txt and test.txt"
        )
    how = "folders " + ", ".join(entries[split] for split in SPLITS if split in entries)
    if "val" not in entries:
        how += f"; none of validation images: {VAL:.0%} of the training images, seed 0"
    return Lists(train=entries["train"], val=entries.get("val", VAL), test=entries["test"]), how, []
