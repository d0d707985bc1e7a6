"""Samples: offending lines are marked, edits are shown, long addresses lose their middle."""

from pipelines.report.page.sample_cards import edits, marked_lines, middle


def test_lines_that_a_failing_rule_is_about_are_marked() -> None:
    text = "same\nother\nsame\n- a bullet\nto be continued ..."
    assert _marked(text, "gopher_repetition.too_many_duplicate_lines") == ["same", "same"]
    assert _marked(text, "gopher_quality.too_many_bullet_lines") == ["- a bullet"]
    assert _marked(text, "gopher_quality.too_many_ellipsis_lines") == ["to be continued ..."]
    assert _marked(text, "gopher_quality.too_few_words") == []


def test_edits_are_lines_with_their_neighbours() -> None:
    before = "a\nb\nc\nd\ne\nclick here\nf"
    assert edits(before, "a\nb\nc\nd\ne\nf") == ((" ", "a"), (" ", "⋯"), (" ", "e"), ("-", "click here"), (" ", "f"))
    assert edits(before, before) == ()


def test_the_end_of_a_text_that_was_cut_for_the_page_is_no_edit() -> None:
    assert edits("a\nb\nc is lon", "a\nb\nc is lo") == ()


def test_a_long_address_keeps_its_host_and_its_end() -> None:
    url = "https://example.org/" + "x" * 300 + "/the-end"
    assert middle(url).startswith("https://example.org/x")
    assert middle(url).endswith("/the-end")
    assert len(middle(url)) < 100
    assert middle("https://example.org/") == "https://example.org/"


def _marked(text: str, reason: str) -> list[str]:
    return [line for line, is_marked in marked_lines(text, [reason]) if is_marked]
