import numpy as np
import pyarrow as pa
import pytest
import xxhash

from pretrain.tokenizing.split import is_held_out, text_hashes

TEXTS = pa.array([f"Document {i} of the mill, мельница." for i in range(4000)])


def test_the_fraction_of_documents_is_held_out() -> None:
    hashes = text_hashes(TEXTS)
    assert not is_held_out(hashes, 0).any()
    assert 0.08 < is_held_out(hashes, 0.1).mean() < 0.12


def test_the_choice_follows_from_the_text_alone_and_grows_with_the_fraction() -> None:
    few, more = (is_held_out(text_hashes(TEXTS), fraction) for fraction in (0.1, 0.2))
    assert (few <= more).all()
    order = np.random.default_rng(0).permutation(len(TEXTS))
    assert (is_held_out(text_hashes(TEXTS.take(pa.array(order))), 0.1) == few[order]).all()


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_hash_is_that_of_the_utf8_bytes_in_whole_arrays_slices_and_empty_ones(kind: pa.DataType) -> None:
    texts = ["", "a", "мельница", "", "b" * 1000]
    expected = [xxhash.xxh3_64_intdigest(text.encode(), 2) for text in texts]
    assert text_hashes(pa.array(texts, kind)).tolist() == expected
    assert text_hashes(pa.array(texts, kind)[1:4]).tolist() == expected[1:4]
    assert text_hashes(pa.array([], kind)).tolist() == []
    assert text_hashes(pa.array([""], kind)).tolist() == expected[:1]
