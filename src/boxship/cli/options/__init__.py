"""From flags to the documents of the API."""
