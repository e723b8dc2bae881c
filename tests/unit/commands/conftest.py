"""Fixtures of the tests of commands."""

import os
import subprocess
import sys

import pytest


@pytest.fixture
def peak(tmp_path):
    """peak(*words) → MB: the peak resident memory of a whole command, which the system counts. Its folder: tmp_path."""

    def measured(*words):
        process = subprocess.Popen(
            [sys.executable, "-m", "cellscaper", *words], cwd=tmp_path, stderr=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return used.ru_maxrss / 1024

    return measured
