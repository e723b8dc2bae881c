"""The papers' configuration as its files have it, and the line with which one is refused."""

import json
from functools import cache

import pytest
import yaml

from cellscaper.errors import CellscaperError
from cellscaper.plan.configuration import FILES, complete, configuration, defaults


@cache
def text():
    return json.dumps(defaults())


@pytest.fixture
def papers():
    """The papers' configuration with bases named, not written out; a copy that may be changed."""
    return json.loads(text())


@pytest.fixture
def put():
    """Sets config[path…] = value; the path is dotted."""

    def put(config, path, value):
        *parents, last = path.split(".")
        for part in parents:
            config = config[int(part)] if isinstance(config, list) else config.setdefault(part, {})
        config[last] = value

    return put


@pytest.fixture
def refused():
    """The one line with which a configuration is refused, its bases not yet written out."""

    def refused(config):
        with pytest.raises(CellscaperError) as caught:
            complete(config)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refused


@pytest.fixture
def mine(tmp_path):
    """The file of `refused_overlay`."""
    return tmp_path / "mine.yaml"


@pytest.fixture
def refused_overlay(mine):
    """The one line with which the papers' configuration with an overlay (text or a map) is refused."""

    def refused(own):
        mine.write_text(own if isinstance(own, str) else yaml.safe_dump(own), encoding="utf-8")
        with pytest.raises(CellscaperError) as caught:
            configuration(yaml.safe_load(mine.read_text(encoding="utf-8")), where=[f"in {mine}"])
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refused


@pytest.fixture
def file_of():
    """The file of the papers' configuration with this name."""
    return {file.name: file for file in FILES}.__getitem__
