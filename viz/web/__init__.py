"""The web around the pages: headers, the page that browsers first get, previews, our own scripts. Never imports torch."""

from pathlib import Path

FRAME = Path(__file__).resolve().parents[1] / "frame" / "main.py"  # the script that Streamlit serves
