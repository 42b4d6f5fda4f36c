"""What every page is made with: page state, links, widgets, sections, downloads."""
