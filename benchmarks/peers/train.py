"""Llama or Qwen3 of transformers, in an environment of its own: `train.py FOLDER` takes a training step a line.

FOLDER has config.json and model.safetensors, of weights and tokens, as benchmarks/train_cpu.py writes them. It writes
logits.safetensors, prints a line, and then for each line that it reads the CPU seconds of one more step.
"""

import json
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

torch.set_num_threads(1)
folder = Path(sys.argv[1])
config, weights = json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")
tokens = weights.pop("tokens")
inputs = tokens[:, :-1].contiguous()
kinds = (Qwen3Config, Qwen3ForCausalLM) if config["qk_norm"] else (LlamaConfig, LlamaForCausalLM)
model = kinds[1](
    kinds[0](
        vocab_size=config["vocab_size"],
        hidden_size=config["width"],
        intermediate_size=config["feed_forward_width"],
        num_hidden_layers=config["num_layers"],
        num_attention_heads=config["num_heads"],
        num_key_value_heads=config["num_kv_heads"],
        head_dim=config["width"] // config["num_heads"],
        rms_norm_eps=config["norm_epsilon"],
        rope_theta=config["rope_theta"],
        tie_word_embeddings=config["tied_embeddings"],
        max_position_embeddings=1 << 16,
        attention_bias=False,
        use_cache=False,
        attn_implementation="sdpa",
    )
)
names = {name: name if name.startswith("lm_head") else f"model.{name}" for name in weights}
missing = model.load_state_dict({names[name]: tensor for name, tensor in weights.items()}, strict=False)
assert not missing.unexpected_keys
assert missing.missing_keys in ([], ["lm_head.weight"])
with torch.no_grad():
    save_file({"logits": model(inputs).logits.float()}, folder / "logits.safetensors")
optimizer = torch.optim.AdamW(model.parameters(), 6e-4, (0.9, 0.95), 1e-8, 0.1, fused=True)
model.train()
print(0.0, flush=True)
for _ in sys.stdin:
    began = time.process_time()
    model(inputs, labels=inputs).loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    print(time.process_time() - began, flush=True)
