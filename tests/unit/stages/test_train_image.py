import hashlib

import pytest

from cellscaper.errors import CellscaperError
from cellscaper.stages.train_image import initial_weights


def test_the_file_to_start_from_is_the_planned_one(tmp_path):
    file = tmp_path / "upsampler.pt"
    file.write_bytes(b"weights")
    planned = hashlib.sha256(b"weights").hexdigest()
    assert initial_weights(str(file), planned) == file
    assert initial_weights(None, None) is None
    for given, wanted in ((str(file), "0" * 64), (str(file), None), (None, planned)):
        with pytest.raises(CellscaperError, match=f"^--init {given} has the SHA-256 .*, but {wanted} was planned; st"):
            initial_weights(given, wanted)
