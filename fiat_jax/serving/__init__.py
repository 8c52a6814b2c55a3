"""A tuned model behind HTTP: the rationale from the reasoner, then the answer, for many callers at once.

- `app`: the addresses, over `schemas`, what goes in and out.
- `service`: what is accepted, refused and answered, within `limits` and counted by `metrics`.
- `workers`: threads that ask the reasoner; from there rows go to the one thread that decodes.
- `server`: from a socket to an exit, and what a signal does.

FastAPI and uvicorn come with the extra `serve`; only `app`, `schemas` and `server` load them.
"""
