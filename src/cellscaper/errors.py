"""The one exception that reaches people."""


class CellscaperError(Exception):
    """Bad input, told in one line: the value, where it came from, what was expected, what to do.

    Stages print it as ``<stage>: error: <message>`` and exit with status 1 (:mod:`cellscaper.run.stage`).
    Anything else that escapes a stage is a bug of ours and keeps its traceback.
    """
