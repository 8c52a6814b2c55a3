"""A task looked at before it is tuned on: what the model reads of it, and what is wrong with the data.

- `reading`: the rows of a split as the model reads them. `marks`: one of them, token by token.
- `lengths`, `answers`, `coverage`, `letters`: tables of a kind each. `near`, `repeats`: what stands twice.
- `inspecting`: all of it together. `terminal`, `html`: how it is shown.
"""
