"""Samples: the model's own text, drawn without touching the random numbers of the training."""

from pathlib import Path

import torch
from tiny_model import CONFIG

from pretrain.config import MonitorConfig
from pretrain.model import Model
from pretrain.samples import Sampler
from pretrain.tokenizing.tokenizer import Tokenizer


def sampler(tokenizer: Path, **settings: object) -> tuple[Sampler, Model]:
    read = Tokenizer(tokenizer)
    torch.manual_seed(0)
    config = MonitorConfig.model_validate({"prompts": ("", "The mill"), "sample_tokens": 12, **settings})
    return Sampler(config, read, max_length=16, seed=5), Model(CONFIG, read.vocab_size)


def test_each_prompt_is_continued_and_the_same_text_comes_at_the_same_step(tokenizer_path: Path) -> None:
    writes, model = sampler(tokenizer_path)
    before = torch.get_rng_state()
    first, second = list(writes.records(model, 7, autocast=False))
    assert torch.equal(torch.get_rng_state(), before), "training draws what it would have drawn"
    assert ((first["step"], first["prompt"]), second["prompt"]) == ((7, ""), "The mill")
    assert first["sample"]
    assert list(writes.records(model, 7, autocast=False)) == [first, second]


def test_a_sample_ends_where_the_model_ends_the_document(tokenizer_path: Path) -> None:
    writes, model = sampler(tokenizer_path, temperature=0.0)
    with torch.no_grad():  # hidden states are 1 in their first place, which is the logit of the end
        model.norm.weight.zero_()
        assert [record["sample"] for record in writes.records(model, 1, autocast=False)] != ["", ""]
        for layer in model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.norm.weight.fill_(1)
        model.embed_tokens.weight.zero_()
        model.embed_tokens.weight[:, 0] = 1
        assert model.lm_head is not None
        model.lm_head.weight.zero_()
        model.lm_head.weight[Tokenizer(tokenizer_path).eos, 0] = 1
    assert [record["sample"] for record in writes.records(model, 1, autocast=False)] == ["", ""]


def test_a_compiled_model_is_not_compiled_again_for_each_length(tokenizer_path: Path) -> None:
    writes, model = sampler(tokenizer_path)
    plain = list(writes.records(model, 1, autocast=False))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    for layer in model.layers:
        layer.compile(dynamic=False)
    assert list(writes.records(model, 1, autocast=False)) == plain
    assert not torch._dynamo.utils.counters["frames"].get("ok"), "nothing was compiled"


def test_a_sample_of_a_broken_model_ends_and_training_goes_on_to_say_so(tokenizer_path: Path) -> None:
    writes, model = sampler(tokenizer_path)
    with torch.no_grad():
        model.norm.weight.fill_(float("nan"))
    assert [record["sample"] for record in writes.records(model, 1, autocast=False)] == ["", ""]
