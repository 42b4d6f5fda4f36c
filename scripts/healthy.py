"""Exits 0 if the app on this machine answers: for a container's health check."""

from __future__ import annotations

import os
import sys
import urllib.request


def main() -> int:
    """Asks /_stcore/health below the app's path."""
    port = os.environ.get("STREAMLIT_SERVER_PORT", "8501")
    path = os.environ.get("STREAMLIT_SERVER_BASE_URL_PATH", "").strip("/")
    address = f"http://127.0.0.1:{port}/{path + '/' if path else ''}_stcore/health"
    try:
        with urllib.request.urlopen(address, timeout=4) as answer:
            return int(answer.status != 200)
    except OSError as error:
        print(f"{address}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
