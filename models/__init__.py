"""The network and what it costs. Imports torch only; `sizes` and `cost` import not even torch."""
