"""The script that app.py serves, in a folder of its own: beside it, Streamlit would take `viz/pages` for pages of its own."""
