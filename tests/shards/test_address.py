"""Addresses as people, browsers and lists write them."""

from functools import partial
from pathlib import Path

import pytest

from shards.address import file_name, host_root, is_remote, requested_url, require_local, scheme, shown
from shards.atomic import try_folder, write_bytes
from shards.errors import UserError
from shards.lock import locked


@pytest.mark.parametrize(
    ("path", "of"),
    [
        ("https://host/a", "https"),
        ("HTTP://host/a", "http"),
        ("s3://bucket/a", "s3"),
        ("s3:/bucket/a", "s3"),
        ("gs://bucket", "gs"),
        ("/crawl/a", ""),
        ("crawl/a", ""),
        ("a:b/c", ""),
        ("2024:/x", ""),
        ("", ""),
    ],
)
def test_the_scheme_of_a_path_is_empty_on_this_disk(path: str, of: str) -> None:
    assert scheme(path) == of
    assert is_remote(path) == (of in ("http", "https", "s3"))


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("https://host/a%20b?c=%2F&d#e", "https://host/a%20b?c=%2F&d"),
        ("https://host", "https://host/"),
        ("https://host?a=b", "https://host/?a=b"),
        ("HTTPS://Host:8443/A", "https://host:8443/A"),
        ("http://[::1]:80/a", "http://[::1]:80/a"),
        ("https://мельница.рф/мука", "https://xn--80ajjldi8d2b.xn--p1ai/%D0%BC%D1%83%D0%BA%D0%B0"),
        ("https://bücher.example/ä?ö", "https://xn--bcher-kva.example/%C3%A4?%C3%B6"),
        ("https://host/50%/100%25", "https://host/50%25/100%25"),
        ('https://host/a b"<c>', "https://host/a%20b%22%3Cc%3E"),
    ],
)
def test_escapes_stay_and_all_else_is_escaped(typed: str, asked: str) -> None:
    assert requested_url(typed) == (asked, "")


def test_a_password_is_no_part_of_what_is_asked_for() -> None:
    assert requested_url("https://me%40home:a:b%2F@host:80/x") == ("https://host:80/x", "me@home:a:b/")


@pytest.mark.parametrize("typed", ["https://", "https:///a", "https://a..b/", "https://host:port/", "https://[::1/a"])
def test_what_is_no_address_is_a_value_error(typed: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        requested_url(typed)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("https://host/x/a%20b.warc.gz?c=d/e.jsonl#f/g", "a b.warc.gz"),
        ("https://host/%D0%BC.warc.gz", "м.warc.gz"),
        ("https://host/%EC.warc.gz", "%EC.warc.gz"),
        ("https://host/a%2Fb", "a%2Fb"),
        ("https://host/a%00", "a%00"),
        ("https://me:secret@host/", "host"),
        ("https://host/x/", "x"),
        ("https://[::1/x", "x"),
        ("s3://bucket/x/a?b#c%20", "a?b#c%20"),
        ("crawl/a?b", "a?b"),
    ],
)
def test_a_name_is_without_query_and_escapes(path: str, name: str) -> None:
    assert file_name(path) == name


def test_nothing_secret_is_shown() -> None:
    assert shown("https://me:secret@host:80/a%20b?sig=secret#x") == "https://host:80/a%20b"
    assert shown("https://me:secret@host") == "https://host/"
    assert shown("s3://bucket/a?b") == "s3://bucket/a?b"
    assert shown("a@b?c") == "a@b?c"
    assert host_root("s3://bucket") == "s3://bucket/"


@pytest.mark.parametrize("path", ["s3://bucket/run", "gs://b", "https://me:secret@host/x?secret", "hf://datasets/a/b"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_url_is_refused_where_a_local_path_is_needed(path: str, kind: type) -> None:
    with pytest.raises(
        UserError, match=r"^(s3|gs|https|hf)://\S+: is a URL, where a path on this disk is needed"
    ) as error:
        require_local(kind(path))
    assert "secret" not in str(error.value)


def test_a_path_on_this_disk_is_accepted() -> None:
    for path in ("runs/x", "/a:b/c", "./s3/x", "~/x", "C:", "a:/b"):
        require_local(Path(path))


def test_nothing_is_written_to_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    url = Path("s3://bucket/x")
    for write in (partial(write_bytes, url, b""), partial(try_folder, url), locked(url).__enter__):
        with pytest.raises(UserError, match=r"^s3://bucket/x: is a URL"):
            write()
    assert [*tmp_path.iterdir()] == []
