"""`gristmill search` as a script uses it."""

import json
from pathlib import Path

from command import gristmill
from corpus import write_shard


def test_words_are_counted_shown_followed_and_found_in_a_text(tmp_path: Path) -> None:
    write_shard(tmp_path / "shards" / "web" / "web-00000-000.arrow", ["The mill grinds grain.", "The mill stands."])
    done = gristmill("search", tmp_path, "The mill", columns=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "2 times in 1 shard"
    assert "[The mill] grinds grain." in done.stdout
    done = gristmill("search", tmp_path, "mill", "--next", "--json")
    assert json.loads(done.stdout) == {"count": 2, "next": {"grinds": 1, "stands": 1}}
    (tmp_path / "output.txt").write_text("They say: The mill grinds grain. Then")
    done = gristmill("search", tmp_path, "--spans", tmp_path / "output.txt", "--min-words", "4", columns=200)
    assert done.stdout.splitlines()[0] == "5 words, 1 time: The mill grinds grain."
    done = gristmill("search", tmp_path)
    assert (done.returncode, done.stderr) == (2, "gristmill: give either words to look up or --spans FILE\n")
