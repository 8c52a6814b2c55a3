"""Prompts searched for a task: the reasoning prompt, and the tuning instruction.

- `prompts`: the reasoning prompt; `answers`: how good one is.
- `instructions`: the tuning instruction; `likelihoods`, `short_runs`: how good one is.
- `slices`: which training examples proposals see, and on which others candidates are scored.
- `running`: a search in its run folder. `page`: its history as a picture and a page.
"""
