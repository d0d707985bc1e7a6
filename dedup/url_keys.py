"""URLs as URL deduplication compares them, a column at a time.

`normalized` takes 10 µs a URL. Most URLs it only strips of scheme and "www.", which Arrow does without
Python; and where equals of a few URLs are looked for, only their hosts matter.
"""

import re
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# RFC 3986, appendix B, without the fragment.
_PARTS = re.compile(r"([^:/?#]+)://([^/?#]*)([^?#]*)(?:\?([^#]*))?", re.DOTALL)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))  # what `quote` leaves alone: it only encodes the rest
_PORTS = {"http": ":80", "https": ":443"}
_TRACKING = re.compile(
    r"utm_.*|gclid|gclsrc|dclid|gbraid|wbraid|srsltid|_ga|_gl|fbclid|igshid|igsh|msclkid|twclid|ttclid|li_fat_id"
    r"|yclid|ysclid|_openstat|mc_cid|mc_eid|_hsenc|_hsmi|hsctatracking|mkt_tok|vero_id|oly_anon_id|oly_enc_id",
    re.IGNORECASE,
)
# URLs that `normalized` only strips of scheme and "www.".
_PLAIN_URL = r"^https?://[a-z0-9.-]*[a-z0-9](/[A-Za-z0-9._~!$&'()*+,;=:@/-]*)?$"
_OTHER_HOST = r"[^a-z0-9.-]|\.$"  # `normalized` may make another one of it


def normalized(url: str) -> str:
    """`url` as it is compared; one that has no host ("urn:…") is only stripped."""
    url = url.strip()
    parts = _PARTS.match(url)
    if parts is None:
        return url
    scheme, host, path, query = parts.groups(default="")
    scheme, host = scheme.lower(), _host(host.lower())
    host = host.removesuffix(_PORTS.get(scheme, "")).rstrip(".").removeprefix("www.")
    parameters = [p for p in _encoding(query).split("&") if p and not _TRACKING.fullmatch(p.partition("=")[0])]
    end = "?" + "&".join(parameters) if parameters else ""
    return f"{'' if scheme in _PORTS else scheme + ':'}//{host}{_encoding(path) or '/'}{end}"


def _host(host: str) -> str:
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host


def _encoding(text: str) -> str:
    """Percent-encoding spelled one way: unreserved characters plain, others that may not stand plain as %XX."""
    return _ESCAPE.sub(_escape, quote(text, safe=_VISIBLE))


def _escape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def url_keys(urls: pa.Array) -> pa.Array:
    """`normalized` of each URL; null where there is none."""
    plain = pc.fill_null(pc.match_substring_regex(urls, _PLAIN_URL), False)
    # Two plain steps and no captures: twice as fast as one pattern for host and path.
    keys = pc.replace_substring_regex(urls, r"^https?://(?:www\.)?", "//")
    bare = pc.fill_null(pc.equal(pc.count_substring(keys, "/"), 2), False)  # a host without a path
    keys = pc.replace_with_mask(keys, bare, pc.binary_join_element_wise(keys.filter(bare), "", "/"))
    others = [normalized(url or "") or None for url in urls.filter(pc.invert(plain)).to_pylist()]
    return pc.replace_with_mask(keys, pc.invert(plain), pa.array(others, pa.string()))


def keys_to_compare(urls: pa.Array, asked: np.ndarray) -> tuple[np.ndarray, pa.Array]:
    """(places, their `url_keys`): first those of the mask `asked`, then all others that may equal one of them."""
    keys, others = url_keys(urls.filter(pa.array(asked))), urls.filter(pa.array(~asked))
    near = may_have_host(others, hosts_of_keys(keys))
    places = np.concatenate([np.flatnonzero(asked), np.flatnonzero(~asked)[near]])
    return places, pa.concat_arrays([keys, url_keys(others.filter(pa.array(near)))])


def hosts_of_keys(keys: pa.Array) -> pa.Array:
    """As they may stand in URLs with these keys, where they are plain."""
    hosts = _hosts(keys).drop_null().unique()
    return pa.concat_arrays([hosts, pc.binary_join_element_wise("www.", hosts, "")])


def may_have_host(urls: pa.Array, hosts: pa.Array) -> np.ndarray:
    """bool[urls]: False where the key of a URL certainly has none of `hosts`, which are `hosts_of_keys`."""
    found = _hosts(urls)
    may = pc.or_(pc.is_in(found, value_set=hosts), pc.match_substring_regex(found, _OTHER_HOST))
    mask: np.ndarray = pc.fill_null(may, True).to_numpy(zero_copy_only=False)
    return mask


def _hosts(urls: pa.Array) -> pa.Array:
    """What stands between the second and the third slash; null where there are none."""
    parts = pc.split_pattern(urls, "/", max_splits=3)
    short = pc.fill_null(pc.less(pc.list_value_length(parts), 3), True).to_numpy(zero_copy_only=False)
    return parts.values.take(pa.array(parts.offsets.to_numpy()[:-1] + 2, mask=short))
