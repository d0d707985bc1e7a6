"""Models in the hands of `transformers` and `lm_eval`, in an environment of their own (`make test-hf`).

hf.py make FOLDER llama|qwen3            a small random model as `transformers` saves it, without a tokenizer
hf.py logits FOLDER IDS.json OUT.npy     float32[T, V] of one document
hf.py text FOLDER TEXT                   JSON: ids of the text, its greedy continuation, and a rendered chat
hf.py score FOLDER TASKS OUT.json        every item of the task files in the folder TASKS by `lm_eval`
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, Qwen3Config

SMALL = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}


def make(folder: str, kind: str) -> None:
    """Qwen3 has heads whose width is not the model's by their number, as its published sizes have."""
    torch.manual_seed(0)
    configs: dict[str, Any] = {
        "llama": LlamaConfig(**SMALL, rope_theta=5e5),
        "qwen3": Qwen3Config(**SMALL, head_dim=16, tie_word_embeddings=True),
    }
    model = AutoModelForCausalLM.from_config(configs[kind])
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)


def logits(folder: str, ids: str, out: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        of_row = model(torch.tensor([json.loads(Path(ids).read_text())])).logits[0]
    np.save(out, of_row.numpy())


def text(folder: str, prompt: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    encoded = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    ids = encoded["input_ids"]
    written = model.generate(**encoded, max_new_tokens=12, do_sample=False)
    messages = [
        {"role": "user", "content": "How do mills work?"},
        {"role": "assistant", "content": "By wind."},
        {"role": "user", "content": " And in a calm? "},
    ]
    chat = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    done = tokenizer.apply_chat_template(messages[:2], tokenize=False)
    values = {"ids": ids[0].tolist(), "written": written[0, ids.shape[1] :].tolist(), "chat": chat, "done": done}
    print(json.dumps(values))


def score(folder: str, tasks: str, out: str) -> None:
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model = HFLM(pretrained=folder, dtype="float32", device="cpu", batch_size=8, add_bos_token=True)
    names = sorted(path.stem for path in Path(tasks).glob("*.yaml"))
    manager = TaskManager(include_path=tasks, include_defaults=False)
    results = lm_eval.simple_evaluate(model, tasks=names, task_manager=manager, log_samples=True, bootstrap_iters=0)
    samples = {
        name: [
            {
                "number": sample["doc_id"],
                "log_p": [float(of_choice[0]) for of_choice in map(_first, sample["resps"])],
                "is_written": [bool(of_choice[1]) for of_choice in map(_first, sample["resps"])],
                **{key: sample[key] for key in ("acc", "acc_norm") if key in sample},
            }
            for sample in of_task
        ]
        for name, of_task in results["samples"].items()
    }
    Path(out).write_text(json.dumps(samples))


def _first(response: Any) -> Any:
    """The one response to a request, of a list of those to its repetitions."""
    return response[0] if isinstance(response[0], list | tuple) else response


if __name__ == "__main__":
    command, *words = sys.argv[1:]
    {"make": make, "logits": logits, "text": text, "score": score}[command](*words)
