import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from shards.config import Config, load_toml
from shards.errors import UserError


class Inner(Config):
    words: tuple[str, ...] = ()
    share: float = 0.5


class Outer(Config):
    name: str
    num_rows: int = 1
    inner: dict[str, Inner] = Field(default_factory=dict)
    one: Inner | None = None
    several: tuple[Inner, ...] = ()


def parse(**values: Any) -> Outer:
    return Outer.parse({"name": "n", **values}, "recipe.toml: stage[3]")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_rows": "fifty"}, "stage[3].num_rows: Input should be a valid integer, found 'fifty'"),
        ({"num_rows": 1.0}, "stage[3].num_rows: Input should be a valid integer, found 1.0"),
        ({"num_row": 1}, "stage[3].num_row: unknown key; known are inner, name, num_rows, one, several"),
        ({"inner": {"web": {"shares": 1}}}, "stage[3].inner.web.shares: unknown key; known are share, words"),
        ({"one": {"shares": 1}}, "stage[3].one.shares: unknown key; known are share, words"),
        ({"several": [{}, {"shares": 1}]}, "stage[3].several.1.shares: unknown key; known are share, words"),
        ({"name": 5}, "stage[3].name: Input should be a valid string, found 5"),
        ({"num_rows": 1 << 63}, "stage[3].num_rows: the number 9223372036854775808 is too large; whole numbers have"),
        ({"inner": {"web": {"words": "en"}}}, "stage[3].inner.web.words: expected an array like [\"en\"], found 'en'"),
        ({"inner": 3}, "stage[3].inner: expected a table like { key = value }, found 3"),
        ({"inner": {"web": {"share": float("nan")}}}, "stage[3].inner.web.share: Input should be a finite number"),
    ],
)
def test_a_mistake_is_one_line_with_its_key_path_and_value(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        parse(**values)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_setting_and_several_mistakes_are_reported_together() -> None:
    with pytest.raises(UserError, match=r"^x\.name: required and missing; set it; x\.num_rows: .*, found None$"):
        Outer.parse({"num_rows": None}, "x")


def test_settings_are_picklable_and_cannot_be_changed() -> None:
    config = parse(inner={"web": {"words": ["en", "ru"]}})
    assert config.inner["web"].words == ("en", "ru"), "TOML's arrays are tuples"
    assert pickle.loads(pickle.dumps(config)) == config
    with pytest.raises(ValueError, match="frozen"):
        config.num_rows = 2


def test_a_byte_order_mark_is_no_part_of_a_toml_file(tmp_path: Path) -> None:
    (tmp_path / "train.toml").write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert load_toml(tmp_path / "train.toml") == {"a": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"a = ", "not valid TOML"), (b"a = '\xff'", "not valid TOML")],
)
def test_a_file_that_is_no_toml_is_refused_by_name(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "recipe.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=rf"recipe\.toml: {message}"):
        load_toml(path)
