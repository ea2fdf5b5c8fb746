"""Runs on a Slurm cluster: what is asked of it, what is sent to it, and what happens inside its jobs."""
