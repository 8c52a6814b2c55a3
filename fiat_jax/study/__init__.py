"""Paradigms compared: an experiment tuned, answered, scored and reported, each in a run folder of its own."""
