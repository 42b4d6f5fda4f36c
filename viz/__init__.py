"""What people see: figures (pure Plotly), components (browser parts), pages (Streamlit)."""
