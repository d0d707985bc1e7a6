"""The order of training: mixture, packing, plan, loader."""
