"""What a sweep has found, as a page, as Markdown and as pictures; no model and no task is needed.

- `blocks`: what a report is made of; `html` and `markdown` write the same blocks.
- `line`: the lines of a report. `found`: their scores, and what is tested between them. `rivals`: which of
  them FIAT is held against. `efficiency`: how many examples they need to reach it.
- `verdict`, `scores`, `by_language`, `ablations`, `tests`, `examples`, `costs`, `settings`, `beside_paper`: a
  section each. `explained`: paradigms and scores in a sentence each. `unfinished`: what is not there.
- `writing`: all of it, into the folder of the sweep.
"""

from fiat_jax.study.comparing.report.writing import Report, write_report

__all__ = ["Report", "write_report"]
