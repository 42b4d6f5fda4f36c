"""Parts of the page that live in the browser: the token strip, the head grid and the link to the large chart."""
