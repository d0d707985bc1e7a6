"""`gristmill calibrate` and `classifier`: help, and mistakes before a text is read."""

from pathlib import Path

from command import gristmill


def test_the_help_shows_the_name_of_the_tables() -> None:
    assert "Gets the [[stage]] tables for a recipe." in gristmill("calibrate", "--help", columns=200).stdout


def test_an_output_that_cannot_be_written_is_refused_before_a_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for to, message in ((tmp_path, "is a folder"), (tmp_path / "file" / "ru.toml", "cannot be written")):
        done = gristmill("calibrate", "no such file", "--language", "ru", "--out", to)
        assert (done.returncode, message in done.stderr, done.stderr.count("\n")) == (2, True, 1), done.stderr
