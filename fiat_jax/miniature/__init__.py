"""A world so small that the whole path runs in minutes, offline: `python -m fiat_jax.miniature FOLDER`.

- `language`: what is said in it, in English and in two invented languages.
- `world`: examples. `reasoner`: a rule that writes their rationales in the place of a large model.
- `model`: a tiny T5 with a vocabulary of words, pretrained on the spot to copy.
"""
