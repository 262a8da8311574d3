"""An Airflow to look at, with a warehouse and an ECR of its own: `make airflow`."""

from __future__ import annotations

import threading
from contextlib import suppress

from tests.airflow.installation import PASSWORD, REGIONS, USER, airflow_installation
from tests.postgres import postgres_server
from tests.server.ecr_server import serving

REPOSITORIES = 200


def main() -> None:
    """Runs it until Ctrl-C; nothing is left of it."""
    with postgres_server() as postgres, serving() as server:
        for region in REGIONS:
            server.registry(region).fill(REPOSITORIES)
        print("starting Airflow (half a minute)", flush=True)
        with airflow_installation(postgres, server) as airflow, airflow.services():
            print(f"Airflow:    {airflow.address}/dags/ecr   (user {USER}, password {PASSWORD})")
            print(f"warehouse:  psql {airflow.warehouse}")
            print("Switch the DAG on and trigger it. Ctrl-C ends all of it.", flush=True)
            with suppress(KeyboardInterrupt):
                threading.Event().wait()


if __name__ == "__main__":
    main()
