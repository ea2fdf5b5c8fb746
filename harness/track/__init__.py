"""Runs as they are seen in Weights & Biases: fed from the files of a run, never the other way round."""
