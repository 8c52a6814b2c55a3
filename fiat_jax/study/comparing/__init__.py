"""Paradigms compared: which to use, with how much data.

- `paradigms`: what is compared. `sweep`: the table of it, and its cells.
- `setups`: a cell as an experiment. `trials`: its runs, one for each learning rate; `answering`: its answers.
- `running`: all cells, from where they were left; `progress`: what is said meanwhile.
- `results`: what was found, as small JSON files. `study`: from the settings to the report. `report`: that.
"""
