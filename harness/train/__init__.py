"""Training one run: schedule, ranks, DeepSpeed engine, loop, checkpoints."""
