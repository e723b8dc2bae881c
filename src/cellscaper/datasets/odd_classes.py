"""Images that lose all their cells, and files of cells whose classes are called otherwise than in all other files."""

from collections import Counter
from collections.abc import Mapping

from cellscaper.datasets.identity import first_few
from cellscaper.datasets.naming import means_nothing
from cellscaper.disk.formats.counted import are, counted

FEWEST = 4  # files that can say what is usual
RARE = 0.25  # most of the files that are odd
HALF = 0.5  # of the cells of a file in classes of its own


def emptied(names: Mapping[str, Counter[str]], mapping: Mapping[str, str | None]) -> str | None:
    """The sentence about images of which no cell is kept; None without. ``names``: classes of each image as written."""
    lost = [image for image, own in names.items() if own and all(mapping.get(name) is None for name in own)]
    if not lost:
        return None
    number = (
        "1 image has no cell of a class and counts"
        if len(lost) == 1
        else (f"{len(lost)} images have no cell of a class and count")
    )
    own = names[lost[0]]
    of = "without a class" if all(map(means_nothing, own)) else f"of class {', '.join(sorted(own)[:3])}"
    return (
        f"{number} as empty, first {lost[0]}, whose {counted(sum(own.values()), 'cells')} "
        f"{are(sum(own.values()))} {of}: if cells "
        "are there, give them classes or take the image away"
    )


def odd(names: Mapping[str, Counter[str]], files: Mapping[str, str]) -> str | None:
    """The sentence about images whose classes are called otherwise than those of all others; None without.

    ``names``: number of cells of each class as written, by image; ``files``: the file of each. Odd are classes that no
    other image has with half of the cells or more, and numbers from a smaller number on (0, 1, 2 beside 1, 2, 3).
    """
    held = {image: Counter({name.casefold(): n for name, n in own.items() if not means_nothing(name)})
            for image, own in names.items()}  # fmt: skip
    held = {image: own for image, own in held.items() if own}
    if len(held) < FEWEST:
        return None
    images_of = Counter(name for own in held.values() for name in own)
    own_alone = {image: [name for name in own if images_of[name] == 1] for image, own in held.items()}
    found = [
        image
        for image, alone in own_alone.items()
        if sum(held[image][name] for name in alone) >= HALF * sum(held[image].values())
    ] or _shifted(held)
    if not found or len(found) > max(1, RARE * len(held)):
        return _two_kinds(held, files)
    usual = sorted({name for image, own in names.items() if image in held and image not in found for name in own
                    if not means_nothing(name)})  # fmt: skip
    first = found[0]
    more = "" if len(found) == 1 else f" and {len(found) - 1} more"
    own_names = sorted(name for name in names[first] if not means_nothing(name))
    others = counted(len(held) - len(found), "images")
    return (
        f"{files[first]}{more} {'has' if len(found) == 1 else 'have'} the classes {first_few(own_names)} for {first}, "
        f"the other {others} {first_few(usual)}: are they the same classes under other names? Then correct the file"
    )


def _two_kinds(held: Mapping[str, Counter[str]], files: Mapping[str, str]) -> str | None:
    """The sentence about files with numbers as classes beside files with names, or that count from two numbers on."""
    numbers = [image for image, own in held.items() if all(name.isdecimal() for name in own)]
    named = [image for image, own in held.items() if not any(name.isdecimal() for name in own)]
    if numbers and named:
        return (
            f"{counted(len(numbers), 'images')} have numbers as classes, first {files[numbers[0]]}, and "
            f"{len(named)} names, first {files[named[0]]}: are they the same classes? --classes can give them one name"
        )
    known = sorted({int(name) for image in numbers for name in held[image]})
    if named or len(known) < 4:  # 0, 1, 2 and 1, 2, 3
        return None
    low, high = ([image for image in numbers if str(end) in held[image]] for end in (known[0], known[-1]))
    if set(low) & set(high) or len(low) + len(high) < len(held):
        return None
    return (
        f"no image has the classes {known[0]} and {known[-1]} both: {len(low)} have {known[0]}, first {files[low[0]]}, "
        f"the other {len(high)} {known[-1]}, first {files[high[0]]}: do their numbers begin at {known[0]} and at "
        f"{known[1]} for the same classes? Then correct the files"
    )


def _shifted(held: Mapping[str, Counter[str]]) -> list[str]:
    """The images whose classes are numbers that begin and end before those of the others."""
    if not all(name.isdecimal() for own in held.values() for name in own):
        return []
    ends = {image: (min(map(int, own)), max(map(int, own))) for image, own in held.items()}
    lowest = Counter(low for low, _ in ends.values())
    usual = Counter(ends.values()).most_common(1)[0][0]
    return [
        image
        for image, (low, high) in ends.items()
        if low < usual[0] and high < usual[1] and lowest[low] < len(ends) / 2
    ]
