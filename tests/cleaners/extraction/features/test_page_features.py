"""Kinds that a page declares: Open Graph and JSON-LD. Other columns are in test_block_features."""

import pytest
from extraction_soup import feature_value


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ("", -1),
        ("<meta property=og:type content=article>", 0),
        ("<meta property=OG:Type content=WebSite>", 1),
        ("<meta property=og:type content=product>", 2),
        ("<meta property=og:type content=video>", -1),
        ("<meta property=og:title content=article>", -1),
        ("<meta property=og:type>", -1),
        ("<meta property=og:title content=x><meta property=og:type content=product.group>", 2),
    ],
)
def test_page_kind_is_that_of_open_graph(head: str, kind: int) -> None:
    assert feature_value(f"{head}<p>a", "page_kind") == kind


@pytest.mark.parametrize(
    ("script", "counts"),
    [
        ('{"@type": "NewsArticle"}', {"article": 1}),
        ('{"@type":"Product","offers":[{"@type" : "Offer"},{"@type":"offer"}]}', {"product": 3}),
        ('[{"@type":"QAPage"},{"@type":"HowTo"},{"@type":"Thing"}]', {"forum": 1, "recipe": 1}),
        ('{"@type":"ItemList","x":{"@type":"Organization"}}', {"list": 1, "organisation": 1}),
        ('{"@type":"Artic', {}),
        ('{"@type"', {}),
        ('"@type', {}),
        ("", {}),
        ('{"@type":"Article"}' * 60, {"article": 50}),
    ],
)
def test_types_of_json_ld_are_counted_by_group(script: str, counts: dict[str, int]) -> None:
    page = f"<script type='application/ld+json'>{script}</script><p>a"
    groups = "article product forum list organisation recipe".split()
    assert {group: n for group in groups if (n := feature_value(page, f"page_ld_{group}"))} == counts
    assert not feature_value(f"<script>{script}</script><p>a", "page_ld_article")
