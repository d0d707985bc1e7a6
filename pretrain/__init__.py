"""Training: tokenizer, order of training, model and loop. It reads shards and imports no other package but `shards`.

tokenizing/   text shards → token shards; the tokenizer
order/        which rows a step is trained on: mixture, packing, plan, batches, trace
here          settings, model, loss, optimizer, checkpoints, evaluation, and the loop (`train.py`)
"""

from pretrain.cpu_threads import wait_passively

wait_passively()  # here, since any module of this package may be the first to import torch
