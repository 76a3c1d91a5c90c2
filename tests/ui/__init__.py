"""The web UI in a real browser against a real stack. ARGOSY_UI_URL: use a stack that runs already."""
