"""A world so small that the whole path runs in minutes, offline: `python -m fiat_jax.miniature FOLDER`.

- `language`: what is said in it, in English and in invented languages.
- `world`: passages, and the target task.
- `lessons`: all that its two models, a reasoner and a smaller one to tune, saw before.
- `model`, `pretrain`: the models, which come with the package, and the command that makes them.
- `folder`: all of it as files for `fiat`.
"""
