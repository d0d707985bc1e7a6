"""The order of training: mixture, packing, plan, batches by number, and the trace of a step."""
