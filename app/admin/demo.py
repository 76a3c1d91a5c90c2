"""The demo's driver: what happens in the stack that `argosy-admin demo` started.

Input: the settings, the endpoints of the running stack. It runs as a process of its own, is told to stop by SIGINT
(KeyboardInterrupt), and may end by itself; the stack goes on either way.
"""

import threading

from app.admin.endpoints import Endpoints
from app.settings import Settings


def run_demo(settings: Settings, endpoints: Endpoints) -> None:
    """Prints where the stack can be reached and waits to be stopped."""
    print(f"API        {endpoints.graphql_url}", flush=True)
    print(f"settings   {endpoints.settings_file}", flush=True)
    print(f"clusters   {', '.join(settings.clusters)}", flush=True)
    threading.Event().wait()
