"""The web around the pages: headers, the page that browsers first get, previews, our own scripts. Never imports torch."""
