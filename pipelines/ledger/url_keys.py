"""URLs as URL deduplication compares them, a column at a time.

`dedup.url_dedup.normalized` takes 10 µs a URL. Most URLs it only strips of scheme and "www.", which Arrow does without
Python; and where equals of a few URLs are looked for, only their hosts matter.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dedup.url_dedup import normalized

# URLs that `normalized` only strips of scheme and "www.".
_PLAIN_URL = r"^https?://[a-z0-9.-]*[a-z0-9](/[A-Za-z0-9._~!$&'()*+,;=:@/-]*)?$"
_OTHER_HOST = r"[^a-z0-9.-]|\.$"  # `normalized` may make another one of it


def url_keys(urls: pa.Array) -> pa.Array:
    """`dedup.url_dedup.normalized` of each URL; null where there is none."""
    plain = pc.fill_null(pc.match_substring_regex(urls, _PLAIN_URL), False)
    # Two plain steps and no captures: twice as fast as one pattern for host and path.
    keys = pc.replace_substring_regex(urls, r"^https?://(?:www\.)?", "//")
    bare = pc.fill_null(pc.equal(pc.count_substring(keys, "/"), 2), False)  # a host without a path
    keys = pc.replace_with_mask(keys, bare, pc.binary_join_element_wise(keys.filter(bare), "", "/"))
    others = [normalized(url or "") or None for url in urls.filter(pc.invert(plain)).to_pylist()]
    return pc.replace_with_mask(keys, pc.invert(plain), pa.array(others, pa.string()))


def keys_of_rivals(urls: pa.Array, asked: np.ndarray) -> tuple[np.ndarray, pa.Array]:
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
