"""Which folders of the checkout become which packages; all else about the package is in pyproject.toml.

core, viz and assets lie at the top of the checkout and inside `headlight` once installed. What lies beside them, the app's
script and its settings, is installed as the folder headlight/top (`headlight.core.TOP` is where it is, in both).
"""

from setuptools import find_packages, setup

ROOMS = find_packages(include=["core", "core.*", "viz", "viz.*"])

setup(
    packages=["headlight", "headlight.assets", "headlight.top", *(f"headlight.{room}" for room in ROOMS)],
    package_dir={
        "headlight": "headlight",
        "headlight.core": "core",
        "headlight.viz": "viz",
        "headlight.assets": "assets",
        "headlight.top": ".",
    },
    script_name="setup.py",  # so that setuptools knows this file from those of headlight.top
)
