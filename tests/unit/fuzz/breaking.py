"""Broken bytes and broken trees for the campaigns, and the harness around a reader."""

import copy
import signal

from hypothesis import strategies as st

from cellscaper.errors import CellscaperError

SECONDS = 30  # of the processor: a reader that needs longer hangs, a busy machine does not count

# -- broken bytes ----------------------------------------------------------------------------------------------

TOKENS = [
    b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b"\r", b"\t", b" ", b",", b'"', b"'", b"{", b"[", b"]", b"}", b":",
    b"-1", b"0", b"1e999", b"nan", b"inf", b"-inf", b"1_0", b"0x1f", b"9" * 400, b"1e-320", b"2147483648",
    "٣".encode(), "½".encode(), b"null", b"true", b"[" * 3000, b'{"a":' * 500, b"\x80\x80", b"NaN", b"Infinity",
]  # fmt: skip
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "put", "over", "cut", "end", "twice"]),
        st.floats(0, 1, exclude_max=True),
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.sampled_from(TOKENS), st.binary(min_size=1, max_size=8)),
    ),
    min_size=1,
    max_size=5,
)


def broken(data, edits):
    """Bytes after some edits at relative places."""
    for kind, where, length, new in edits:
        at, size = int(where * len(data)), int(length * min(len(data), 200)) + 1
        if kind == "flip" and data:
            data = data[:at] + bytes([data[at] ^ (1 << int(length * 8))]) + data[at + 1 :]
        elif kind == "put":
            data = data[:at] + new + data[at:]
        elif kind == "over":
            data = data[:at] + new + data[at + len(new) :]
        elif kind == "cut":
            data = data[:at] + data[at + size :]
        elif kind == "end":
            data = data[:at]
        else:
            data = data[:at] + data[at : at + size] * 2 + data[at + size :]
    return data


class HangError(BaseException):
    """Not one that a reader catches."""


def refuses_or_reads(reader, *arguments):
    """Call a reader: what it returns, or None where it refuses with a line of ours."""

    def hangs(*_):
        raise HangError(f"{reader.__name__} takes longer than {SECONDS} s")

    before = signal.signal(signal.SIGPROF, hangs)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        return reader(*arguments)
    except CellscaperError as error:
        assert str(error).strip(), "an error without words"
        return None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


# -- broken trees ----------------------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 300), st.integers(), st.floats(), st.text(max_size=6),
    st.sampled_from(["", "nan", "../..", "a" * 500, "\0", "train", "0.5", 10**30, -(10**18), 1e308, "components"]),
)  # fmt: skip
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["set", "drop", "add"]), st.integers(0, 10**6), TREES), min_size=1, max_size=3
)


def places(node, found):
    """(container, key) of everything below a node."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        found.append((node, key))
        places(value, found)
    return found


def changed(tree, changes):
    """A tree after some changes at random places."""
    tree = copy.deepcopy(tree)
    for kind, where, value in changes:
        found = places(tree, [])
        if not found:
            return value
        node, key = found[where % len(found)]
        if kind == "set":
            node[key] = value
        elif kind == "drop":
            del node[key]
        elif isinstance(node, dict):
            node[f"{key}_"] = value
        else:
            node.insert(key, value)
    return tree


def put(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return path
