"""Scoring a trained model: held-out bits per byte, and zero-shot tasks."""
