import pytest

from cleaners.assets.top_level_domains import is_top_level_domain, top_level_domains_sha256


@pytest.mark.parametrize("label", ["com", "COM", "рф", "公司", "中国", "xn--p1ai", "XN--P1AI", "ck", "museum"])
def test_top_level_domains_are_known_in_any_form(label: str) -> None:
    assert is_top_level_domain(label)


@pytest.mark.parametrize("label", ["png", "webp", "tgz", "", "co.uk", "xn--", "xn--\u00e9", "公"])
def test_file_endings_and_others_are_none(label: str) -> None:
    assert not is_top_level_domain(label)


def test_the_list_has_a_digest_for_fingerprints() -> None:
    assert len(top_level_domains_sha256()) == 64
