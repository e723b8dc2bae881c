import pytest

from cellscaper.errors import CellscaperError
from cellscaper.report.tables.table_file import read_table


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\x00", "row,mean\nx,high\n"])
def test_other_files_are_refused_in_one_line(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(CellscaperError, match=r"t\.csv is not a table of this version"):
        read_table(tmp_path / "t.csv")
