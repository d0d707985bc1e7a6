from cleaners import engines


def test_every_engine_returns_text_for_hostile_pages() -> None:
    for name, engine in engines.ENGINES.items():
        for html in (
            "",
            "\0",
            "<",
            "<html>",
            "<!DOCTYPE html>",
            "\ud7ff\U0010ffff",
            "<p>" * 300,
            "text",
            "<?xml version='1.0' encoding='utf-16'?><p>x",
        ):
            assert isinstance(engine(html, "", favour="balanced"), str), name
