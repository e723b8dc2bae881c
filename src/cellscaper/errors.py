"""The exception for errors that users can correct."""


class CellscaperError(Exception):
    """Bad input. The message is one line: the value, its origin, what was expected, how to correct it.

    Stages print it as ``<stage>: error: <message>`` and exit with status 1 (:mod:`cellscaper.run.stage`).
    Any other exception that escapes a stage is a bug of the package and keeps its traceback.
    """
