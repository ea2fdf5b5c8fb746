"""From a study to finished runs: freeze, queue, job, observe."""
