"""Blocks of methods and the sections of stages."""

import pytest

from cellscaper.plan.blocks import as_section
from cellscaper.plan.configuration import defaults
from cellscaper.plan.sections import dataset_section


@pytest.mark.parametrize("dataset", ["phantom", "brca_m2c", "lizard"])
def test_a_block_of_a_configuration_stands_for_the_section_of_its_stages(dataset):
    section = dataset_section(defaults(), dataset)
    assert as_section(defaults()["datasets"][dataset]) == section
    assert as_section(section) == section
    assert "reader" not in section["settings"] and "layouts" not in section["settings"]
