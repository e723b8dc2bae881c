import pytest

from cellscaper.errors import CellscaperError
from cellscaper.stages import draw_training


@pytest.mark.parametrize("text", ["", "loss\n1\n", "step\n1\n", "step,loss\n1,nothing\n"])
def test_a_file_that_is_no_training_log_is_named(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(CellscaperError, match="log.csv"):
        draw_training.read_log(tmp_path / "log.csv")


def test_it_draws_the_logs_it_is_given(tmp_path, monkeypatch):
    (tmp_path / "log.csv").write_text("step,loss,count\n20,0.5,\n40,0.4,3\n")
    picture = tmp_path / "figures" / "out.png"
    words = ["--logs", str(tmp_path / "log.csv"), "--labels", "A", "--picture", str(picture)]
    monkeypatch.setattr("sys.argv", ["draw_training", *words])
    draw_training.main()
    assert picture.read_bytes().startswith(b"\x89PNG")
