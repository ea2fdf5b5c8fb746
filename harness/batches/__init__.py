"""From the global sample number to a masked batch: a pure function, no state."""
