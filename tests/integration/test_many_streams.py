"""Two hundred agents on one web process: what `make bench` does with ten thousand."""

from __future__ import annotations

import pytest
from tests.load.streams import Run, measured
from tests.support.enroll_app import enroll_app
from tests.support.servers import HOST, free_port


@pytest.mark.postgres
def test_agents_get_each_job_once_it_is_there_and_come_back_to_all_of_them_when_the_process_was_killed(
    postgres_url: str, redis_url: str
) -> None:
    origin = f"http://{HOST}:{free_port()}"
    with enroll_app(postgres_url, redis_url, public_origin=origin) as app:
        rows = {row.what: row for row in measured(app, Run(agents=200, idle_seconds=0, pushes=40, given_away=40))}
    assert rows["job committed to job on the agent's socket, median"].detail["late"] == 0
    assert rows["jobs lost by it"].detail == {"given": 80}
    assert rows["jobs lost by it"].value == 0
    assert rows["pages refused meanwhile"].value == 0
