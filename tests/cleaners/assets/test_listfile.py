import gzip
import hashlib
import io
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from cleaners.assets import listfile
from cleaners.assets.domain_lines import ascii_host
from cleaners.assets.domains import Domains
from cleaners.assets.listfile import fetch_ut1, list_facts, open_list, ut1_target
from cleaners.assets.wordlist import entries
from shards.errors import UserError

WORDS = b"# Words of a mill\n# Licence: CC0-1.0\nStone # of two\n\n  wheel\nDam"


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    (tmp_path / "words.txt").write_bytes(WORDS)
    (tmp_path / "words.gz").write_bytes(gzip.compress(WORDS))
    for name, mode in (("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar", "w")):
        with tarfile.open(tmp_path / name, mode) as archive:  # type: ignore[call-overload]
            archive.add(tmp_path / "words.txt", "in/words")
            archive.add(tmp_path / "words.gz", "in/words.gz")
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.write(tmp_path / "a.tar.gz", "lists/a.tar.gz")
        wheel.write(tmp_path / "words.txt", "words")
    return tmp_path


@pytest.mark.parametrize(
    "reference",
    [
        "words.txt",
        "words.gz",
        "a.tar.gz!in/words",
        "a.tgz!in/words.gz",
        "a.tar!in/words",
        "a.whl!words",
        "a.whl!lists/a.tar.gz!in/words",
        "a.whl!lists/a.tar.gz!in/words.gz",
    ],
)
def test_a_list_has_the_same_entries_and_digest_in_any_container(archives: Path, reference: str) -> None:
    where = f"{archives}/{reference}"
    assert entries(where) == entries(Path(where)) == ["stone", "wheel", "dam"]
    facts = list_facts(where)
    assert (facts.sha256, facts.licence, facts.entries) == (hashlib.sha256(WORDS).hexdigest(), "CC0-1.0", 3)


def test_a_list_of_an_installed_package_is_named_by_the_package() -> None:
    assert "from _pytest import version_tuple" in entries("package:pytest/pytest/__init__.py")
    facts = list_facts("package:pytest/pytest/py.typed")
    assert (facts.entries, facts.licence) == (0, "unknown")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("package:no-such-package/a.txt", r"no package 'no-such-package' is installed: pip install it"),
        ("package:pytest/no/such.txt", r"such\.txt: the list cannot be read: .*No such file"),
        ("{}/nothing.txt", r"nothing\.txt: the list cannot be read: .*No such file"),
        ("{}/a.tar.gz!in/nothing", "the list cannot be read: .*in/nothing.* not found"),
        ("{}/a.whl!nothing", "the list cannot be read: .*nothing"),
        ("{}/a.tar!in", "the list cannot be read"),
        ("{}/words.txt!in", "is no archive that could hold in"),
        ("{}/words.gz!in", "is no archive that could hold in"),
        ("{}", "the list cannot be read: .*directory"),
    ],
)
def test_a_missing_list_is_reported_with_its_reference(archives: Path, reference: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        entries(reference.format(archives))
    assert "\n" not in str(error.value)


def test_the_error_for_a_list_that_was_not_fetched_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match="run `gristmill lists`"):
        entries("ut1")


def test_counted_entries_are_the_entries_that_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listfile, "_PIECE", 7)
    for text in ("", "a", "a\n", "\na\n\n#b\n c \n", "abcdefghijkl\nm\n\n\n#\n \nn", "a.example\n" * 40):
        path = tmp_path / f"{len(text)}.txt"
        path.write_text(text)
        assert list_facts(path).entries == len(entries(path)), text


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_list_is_read_in_utf_8_and_utf_16(tmp_path: Path, charset: str, end: str) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(end.join(["a.example", "# x", "плохой.рф", "слово", ""]).encode(charset))
    assert entries(path) == ["a.example", "плохой.рф", "слово"]
    assert list_facts(path).entries == 3
    with open_list(path) as stream:
        assert Domains(stream).cover(["a.example", f"x.{ascii_host('плохой.рф')}", "b.example"]).tolist() == [
            True,
            True,
            False,
        ]


def test_built_in_lists_state_their_licence() -> None:
    for path in sorted((Path(listfile.__file__).parent / "lists").glob("*.txt")):
        assert list_facts(path).licence == "that of Gristmill, for which it was written"
        assert list_facts(path).entries == len(entries(path)) > 5


@pytest.mark.slow
@pytest.mark.real
def test_ut1_loads_in_two_seconds_and_200_mb(real_data: Path, tmp_path: Path) -> None:
    """On one core it takes .6 s and 126 MB; the limit leaves room for other work on the machine."""
    target = ut1_target()
    if not target.is_file():
        fetch_ut1(target)
    facts = list_facts("ut1")
    assert (facts.entries, facts.licence) == (4_558_940, "CC-BY-SA-4.0")
    Domains(io.BytesIO(b"compiled.example")).cover(["compiled.example"])
    _forget_peak()
    before = _memory("VmRSS")
    began = time.process_time()
    with open_list("ut1") as stream:
        domains = Domains(stream)
    assert time.process_time() - began < 2
    assert _memory("VmHWM") - before < 200_000
    with open_list("ut1") as stream:
        some = [line.decode().strip() for line in stream.read(50_000_000).split(b"\n")[2:-1:997]]
    assert len(some) > 1_000
    assert domains.cover(some).all()
    assert domains.cover([f"www.{host}" for host in some]).all()
    assert not domains.cover([f"{host}.gristmill" for host in some]).any()
    assert not domains.cover(["en.wikipedia.org", "arxiv.org", "com", ""]).any()


def _memory(name: str) -> int:
    """kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")
