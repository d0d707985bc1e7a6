"""Masked passages are read by the model and not learned: from bytes of a text to the gradient."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from corpus import WORDS, decode, make_texts, write_shard
from foreign_tokenizers import KINDS, oracle, write
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import accumulate

from pretrain.attention import documents
from pretrain.config import DeviceConfig, load_config
from pretrain.evaluate import bits_per_byte, choose_held_out
from pretrain.model import Model
from pretrain.order.batch import NO_LABEL, Rows, fill
from pretrain.order.loader import Loader
from pretrain.order.packing import pack
from pretrain.order.plan import held_out_documents, make_plan
from pretrain.order.trace import traced_segments
from pretrain.parallel import spread_model
from pretrain.ranks import Ranks
from pretrain.tokenizing.masks import masked_tokens
from pretrain.tokenizing.tokenize import tokenize_shards
from pretrain.tokenizing.tokenizer import Tokenizer
from pretrain.train import train_model
from shards.errors import RunError, UserError
from shards.tokens import TRAIN, TokenDocuments

ZH = ("磨坊", "慢慢", "磨", "麦子", "，", "面包。", "🍞")
TEXTS = st.lists(st.sampled_from([*WORDS["en"], *WORDS["ru"], *ZH, " ", "\n"]), max_size=30).map("".join)
SPANS = st.lists(st.tuples(st.integers(0, 150), st.integers(0, 150)).map(sorted), max_size=5)


@pytest.fixture(scope="module")
def tokenizer(tokenizer_path: Path) -> Tokenizer:
    return Tokenizer(tokenizer_path)


def plainly_masked(tokenizer: Tokenizer, ids: np.ndarray, spans: list[list[int]]) -> list[bool]:
    """Byte by byte. A character of a byte-level vocabulary is a byte."""
    length_of = {token: len(characters) for characters, token in json.loads(tokenizer.json)["model"]["vocab"].items()}
    bytes_masked = {byte for start, end in spans for byte in range(start, end)}
    masked, start = [], 0
    for token in ids.tolist():
        masked.append(any(byte in bytes_masked for byte in range(start, start + length_of[token])))
        start += length_of[token]
    return masked


@settings(max_examples=200)
@given(TEXTS, SPANS)
def test_exactly_the_tokens_that_share_a_byte_with_a_span_are_masked(
    tokenizer: Tokenizer, text: str, spans: list[list[int]]
) -> None:
    size = len(text.encode())
    spans = [[min(start, size), min(end, size)] for start, end in spans]
    (ids,) = tokenizer.encode_batch([text])
    bounds = masked_tokens(*tokenizer.byte_spans(text, ids), np.array(spans, np.int64).reshape(-1))
    ranges = bounds.reshape(-1, 2).tolist()
    assert [any(first <= i < last for first, last in ranges) for i in range(len(ids))] == plainly_masked(
        tokenizer, ids, spans
    )
    assert (np.diff(bounds) > 0).all(), "ranges are ascending and do not touch"


def make_masked_run(folder: Path) -> tuple[Path, dict[str, list[list[int]]]]:
    """Shards of documents with a masked word here and there; the spans by text."""
    rng, spans_of = np.random.default_rng(0), {}
    texts = [*make_texts("en", 60), *make_texts("ru", 60), *("".join(rng.choice(ZH, 40)) + str(i) for i in range(60))]
    for i, text in enumerate(texts):
        ends = np.cumsum([0] + [len(character.encode()) for character in text])
        cuts = np.sort(rng.choice(ends, 4)) if i % 3 else ends[:0]
        spans_of[text] = cuts.reshape(-1, 2).tolist()
    masked = pa.array([np.ravel(spans_of[text]) for text in texts], pa.list_(pa.int64()))
    write_shard(folder / "shards" / "web" / "a.arrow", texts, masked=masked)
    return folder, spans_of


@pytest.fixture(scope="module")
def masked_tokens_folder(tokenizer_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run, _ = make_masked_run(tmp_path_factory.mktemp("masked"))
    tokenize_shards([run], tokenizer_path, run / "tokens", held_out_fraction=0.2, report=lambda line: None)
    return run / "tokens" / "web"


def test_token_shards_record_masked_tokens_and_the_bytes_of_the_others(
    tokenizer: Tokenizer, tokenizer_path: Path, tmp_path: Path
) -> None:
    run, spans_of = make_masked_run(tmp_path)
    lines: list[str] = []
    tokenize_shards([run], tokenizer_path, run / "tokens", held_out_fraction=0, report=lines.append)
    documents = TokenDocuments(run / "tokens" / "web", TRAIN)
    num_masked = 0
    for i in range(len(documents)):
        whole = documents.tokens(i, 1, int(documents.num_tokens[i]) - 1)
        text = decode(tokenizer, whole)
        expected = [False, *plainly_masked(tokenizer, whole, spans_of[text]), False]  # never <|bos|> or <|eos|>
        masked = np.zeros(len(expected), bool)
        for first, last in documents.masked(i, 0, len(expected)):
            masked[first:last] = True
        assert masked.tolist() == expected
        lengths = np.subtract(*tokenizer.byte_spans(text, whole)[::-1])
        assert documents.num_bytes[i] == lengths[~masked[1:-1]].sum()
        num_masked += masked.sum()
    assert f"({num_masked:,} masked)" in lines[0]
    file = documents.manifest.shards["a"].files[TRAIN]
    assert (file.num_masked_tokens, file.num_text_bytes) == (num_masked, documents.num_bytes.sum())


@pytest.mark.parametrize("row_length", [7, 64, 1000])
def test_masked_tokens_are_inputs_and_no_labels_wherever_rows_cut(masked_tokens_folder: Path, row_length: int) -> None:
    documents = TokenDocuments(masked_tokens_folder, TRAIN)
    packing = pack(documents.num_tokens - 1, row_length)
    rows = Rows.of(packing, documents.first_token)
    batch = fill(documents.token_map(), rows, np.arange(packing.num_rows))
    tokens, labels = batch.tokens_BT, batch.labels_BT
    without = 0
    for row in range(packing.num_rows):
        filled = 0
        for document, start, end in packing.segments(row):
            whole = documents.tokens(document, 0, int(documents.num_tokens[document])).astype(int)
            learned = np.ones(len(whole), bool)
            for first, last in documents.masked(document, 0, len(whole)):
                learned[first:last] = False
            own = slice(filled, filled + end - start)
            assert (tokens[row, own] == whole[start:end]).all()
            assert (labels[row, own] == np.where(learned, whole, NO_LABEL)[start + 1 : end + 1]).all()
            without += int((~learned[start + 1 : end + 1]).sum())
            filled = own.stop
    assert without == documents.manifest.shards["a"].files[TRAIN].num_masked_tokens > 100


@pytest.fixture
def masked_file(train_file: Callable[..., Path], masked_tokens_folder: Path) -> Path:
    return train_file(source={"web": {"tokens": str(masked_tokens_folder), "max_epochs": 100}})


def test_loss_and_gradient_are_those_of_the_unmasked_targets_alone(masked_file: Path) -> None:
    plan = make_plan(load_config(masked_file, {}))
    batch = Loader(plan).batch(0)
    torch.manual_seed(0)
    model = Model(plan.config.model, plan.vocab_size).double()
    (total,) = accumulate(model, batch, 2, 1).tolist()
    ours = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()

    tokens, positions = torch.from_numpy(batch.tokens_BT), torch.from_numpy(batch.positions_BT)
    segments = documents(batch.starts, batch.tokens_BT.shape[1], torch.device("cpu"))
    hidden = model.hidden(tokens, positions, segments)
    log_p = (hidden @ model.head_VC.T).float().log_softmax(-1)
    learned = [(row, position) for row, position in np.argwhere(batch.labels_BT != NO_LABEL).tolist()]
    losses = torch.stack([-log_p[row, position, batch.labels_BT[row, position]] for row, position in learned])
    assert total == pytest.approx(float(losses.detach().double().sum()), rel=1e-6)
    losses.mean().backward()
    for parameter, gradient in zip(model.parameters(), ours, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-7)
    inside = batch.labels_BT == NO_LABEL
    assert (inside[:, :-1] & ~inside[:, 1:] & (batch.positions_BT[:, 1:] > 0)).any(), "no masked token amid a row"


def test_a_batch_of_masked_tokens_only_has_no_gradient(masked_file: Path) -> None:
    plan = make_plan(load_config(masked_file, {}))
    batch = Loader(plan).batch(0)
    batch.labels_BT[:] = NO_LABEL
    model = Model(plan.config.model, plan.vocab_size)
    masked = replace(batch, num_labels_B=0 * batch.num_labels_B)
    assert accumulate(model, masked, 4, 1).tolist() == [0]
    assert all((parameter.grad == 0).all() for parameter in model.parameters())


def test_bits_per_byte_leave_masked_tokens_and_their_bytes_out(masked_file: Path) -> None:
    """All tokens equally likely: log2(vocabulary) bits for each token that is learned."""
    plan = make_plan(load_config(masked_file, {}))
    model = Model(plan.config.model, plan.vocab_size)
    torch.nn.init.zeros_(model.embed_tokens.weight)
    documents = held_out_documents(plan)["web"]
    sizes = documents.num_tokens.tolist()
    masked = sum(last - first for i, size in enumerate(sizes) for first, last in documents.masked(i, 0, size))
    assert masked > 20
    expected = math.log2(plan.vocab_size) * (sum(sizes) - len(sizes) - masked) / documents.num_bytes.sum()
    held_out = choose_held_out("web", documents, 64, max_tokens=10**9)
    spread = spread_model(model, DeviceConfig(), Ranks(), torch.device("cpu"))
    assert bits_per_byte(spread, [held_out], 5, Ranks())["web"] == pytest.approx(expected, rel=1e-6)


def test_a_run_counts_the_tokens_that_it_learned(masked_file: Path) -> None:
    summary = train_model(masked_file, overrides={}, progress=lambda record: None)
    plan = make_plan(load_config(masked_file, {}))
    segments = [segment for step in range(12) for segment in traced_segments(plan, step)]
    assert summary.tokens == sum(segment.end - segment.start - segment.num_masked for segment in segments)
    assert sum(segment.num_masked for segment in segments) > 100


@pytest.mark.parametrize("kind", KINDS)
def test_spans_mask_the_characters_of_any_tokenizer(tmp_path: Path, kind: str) -> None:
    """A masked word's tokens are masked and its neighbours' are not, whatever the tokenizer makes of the spaces."""
    path, masked_words = write(kind, tmp_path), ["grinds", "пшеницы", "磨"]
    text = "the mill grinds slowly, зерно пшеницы станет мукой, 水 磨 面粉"
    spans = [
        [text[: (start := text.index(word))].encode(), text[: start + len(word)].encode()] for word in masked_words
    ]
    column = pa.array([[len(part) for span in spans for part in span]], pa.list_(pa.int64()))
    write_shard(tmp_path / "run" / "web" / "a.arrow", [text], masked=column)
    tokenize_shards([tmp_path / "run"], path, tmp_path / "t", held_out_fraction=0, report=lambda line: None)
    documents, plain = TokenDocuments(tmp_path / "t" / "web", TRAIN), oracle(path)
    num_tokens = int(documents.num_tokens[0])
    encoded = plain.encode(text, add_special_tokens=False)
    assert documents.tokens(0, 1, num_tokens - 1).tolist() == encoded.ids
    inside = {token - 1 for start, end in documents.masked(0, 0, num_tokens) for token in range(start, end)}
    words = [text.index(word) + i for word in masked_words for i in range(len(word))]
    assert inside == {
        token for token, (start, end) in enumerate(encoded.offsets) if any(start <= i < end for i in words)
    }
    hidden = len("".join(masked_words).encode())
    assert len(text.encode()) - hidden - 3 <= documents.num_bytes[0] <= len(text.encode()) - hidden


def test_a_document_without_tokens_teaches_nothing(tmp_path: Path, tokenizer_path: Path) -> None:
    write_shard(tmp_path / "run" / "web" / "a.arrow", ["", "the mill"])
    tokenize_shards([tmp_path / "run"], tokenizer_path, tmp_path / "t", held_out_fraction=0, report=lambda line: None)
    documents = TokenDocuments(tmp_path / "t" / "web", TRAIN)
    assert documents.num_tokens[0] == 2
    assert documents.masked(0, 0, 2) == [(1, 2)]
    assert documents.num_bytes.tolist() == [0, 8]


@pytest.mark.parametrize("spans", [[0], [0, 99], [-1, 2]])
def test_spans_outside_the_text_are_refused(tmp_path: Path, tokenizer_path: Path, spans: list[int]) -> None:
    write_shard(tmp_path / "web" / "a.arrow", ["ёлка", "мельница"], masked=pa.array([[], spans], pa.list_(pa.int64())))
    with pytest.raises(UserError, match=r"a\.arrow: column masked: document \w{32} has 16 bytes, and not all") as error:
        tokenize_shards([tmp_path], tokenizer_path, tmp_path / "t", held_out_fraction=0, report=lambda line: None)
    assert "\n" not in str(error.value)


def test_a_masked_column_of_another_type_is_refused(tmp_path: Path, tokenizer_path: Path) -> None:
    write_shard(tmp_path / "web" / "a.arrow", ["text"], masked=pa.array([True]))
    with pytest.raises(UserError, match=r"column masked: expected list<.*int64>, found bool; rename the column"):
        tokenize_shards([tmp_path], tokenizer_path, tmp_path / "t", held_out_fraction=0, report=lambda line: None)


def test_token_shards_from_before_masks_are_refused_and_the_same_command_makes_them_anew(
    tmp_path: Path, tokenizer_path: Path
) -> None:
    write_shard(tmp_path / "run" / "web" / "a.arrow", ["the mill"])
    for _ in range(2):
        tokenize_shards(
            [tmp_path / "run"], tokenizer_path, tmp_path / "t", held_out_fraction=0, report=lambda line: None
        )
        assert len(TokenDocuments(tmp_path / "t" / "web", TRAIN)) == 1
        for path in (tmp_path / "t" / "web" / "manifest.json", tmp_path / "t" / "web" / "manifests" / "a.json"):
            values = json.loads(path.read_text())
            del values["version"]
            path.write_text(json.dumps(values))
        with pytest.raises(RunError, match=r"made by an older gristmill \(format 1, .*\); run the same"):
            TokenDocuments(tmp_path / "t" / "web", TRAIN)
