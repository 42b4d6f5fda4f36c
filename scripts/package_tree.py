"""The package `headlight` as it is installed, as a folder of links: for checkers that read folders, not `__path__`.

python scripts/package_tree.py build/package
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACES = {"headlight": "headlight", "core": "headlight/core", "viz": "headlight/viz"}


def main(target: Path) -> None:
    """Makes `target` anew; every Python file in it is a link to the one in the checkout."""
    shutil.rmtree(target, ignore_errors=True)
    for source, place in PLACES.items():
        for file in (ROOT / source).rglob("*.py"):
            link = target / place / file.relative_to(ROOT / source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
