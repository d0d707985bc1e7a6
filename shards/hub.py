"""Data sets of the Hugging Face Hub as files behind URLs.

    hf://datasets/allenai/c4@main/en/*.json.gz ──Hub's client──▶ commit and files ──▶ https://huggingface.co/datasets/
                                                                                      allenai/c4/resolve/<commit>/en/…

The client, the extra `hub`, lists the files; they are read by ranges as any others, without an account. A URL names the
commit that the revision had when the files were listed, so a run never reads two versions of them.
"""

import os
import re
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote

from shards.errors import UserError

_ADDRESS = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+)(?:@([^/]+))?(?:/(.*))?")
_HUB = "https://huggingface.co"


def hub_files(address: str, suffixes: tuple[str, ...], where: str) -> list[tuple[str, str]]:
    """(URL, name in the data set) of each file that the address names. UserError where there is none.

    It names a file, the files that a glob matches, or those of a folder that end in one of `suffixes`.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise UserError(f"{where}: {address}: expected hf://datasets/OWNER/NAME[@REVISION][/FILE, FOLDER or glob]")
    data_set, revision, path = found[1], found[2] or "main", (found[3] or "").rstrip("/")
    commit, names = _listed(address, data_set, revision, where)
    wanted = sorted(name for name in names if _is_wanted(name, path, suffixes))
    if not wanted:
        raise UserError(f"{where}: {address}: no file of the data set is named so and ends in {', '.join(suffixes)}")
    root = f"{_endpoint()}/datasets/{data_set}/resolve/{commit}/"
    return [(root + quote(name), name) for name in wanted]


def _is_wanted(name: str, path: str, suffixes: tuple[str, ...]) -> bool:
    if name == path:
        return True
    is_hidden = any(part.startswith(".") for part in name.split("/"))
    is_below = not path or name.startswith(f"{path}/")
    return not is_hidden and (fnmatchcase(name, path) or (is_below and name.lower().endswith(suffixes)))


def _listed(address: str, data_set: str, revision: str, where: str) -> tuple[str, list[str]]:
    """(commit of the revision, names of all files)."""
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        raise UserError(f"{where}: {address}: needs the extra `hub`: pip install 'gristmill[hub]'") from None
    client: Any = HfApi(endpoint=_endpoint())
    try:
        commit = client.dataset_info(data_set, revision=revision).sha
        tree = client.list_repo_tree(data_set, repo_type="dataset", revision=commit, recursive=True)
        return commit, [entry.path for entry in tree if hasattr(entry, "size")]
    except HfHubHTTPError as error:
        cause = str(error).strip().partition("\n")[0][:200]
        raise UserError(f"{where}: {address}: the Hub answers: {cause}; check the name and the revision") from None
    except OSError as error:
        raise UserError(f"{where}: {address}: the Hub cannot be asked ({error}); check the network") from None


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", _HUB).rstrip("/")
