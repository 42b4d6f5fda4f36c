"""What the lesson pages show and no model needs: positions taken apart, turned, shifted, stretched; no user interface."""
