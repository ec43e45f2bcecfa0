"""The observatory's runbooks, rehearsed."""

from __future__ import annotations

from pathlib import Path

import pytest
from observatory import SimulatedObservatory

from aurora.testing import Rehearsal, Verdict, dies, no_to, outputs, passes, raises, red, times_out

ALL_PASS = {"*": passes()}


def test_a_clear_night_walks_the_whole_list(rehearsal: Rehearsal) -> None:
    """Weather, a look into the dome, the shutter, a picture of each target, and the shutter again."""
    run = rehearsal("night", params={"targets": ["M31", "M33"]}, steps=ALL_PASS, answers="all yes")
    assert run.outcome == "green"
    assert run.path == ["weather", "look", "shutter", "pictures[0]", "pictures[1]", "end/shutter"]
    assert [call.arguments["target"] for call in [*run.calls("pictures[0]"), *run.calls("pictures[1]")]] == [
        "M31",
        "M33",
    ]


@pytest.mark.parametrize("check", ["humidity_pct < profile.limits.humidity_pct", "wind_kmh < profile.limits.wind_kmh"])
def test_bad_weather_keeps_the_dome_closed(rehearsal: Rehearsal, check: str) -> None:
    """Each blocking gate on the weather keeps the shutter from opening."""
    run = rehearsal("night", steps={**ALL_PASS, "weather": red(check)}, answers="all yes")
    assert (run.outcome, run.exit_code) == ("red", 3)
    assert run.gate("weather", check).red
    assert run.status["shutter"] == "omitted"


def test_the_hilltop_bears_less_wind(rehearsal: Rehearsal) -> None:
    """The same wind is fine in the valley and red on the hilltop; the gate says what it saw."""
    wind = {"weather": outputs(humidity_pct=40, wind_kmh=30, cloud_pct=0)}
    assert rehearsal("night", steps={**ALL_PASS, **wind}, answers="all yes").outcome == "green"
    run = rehearsal("night", profile="hilltop", steps={**ALL_PASS, **wind}, answers="all yes")
    assert run.gate("weather", 1).values == {"wind_kmh": "30", "profile.limits.wind_kmh": "25"}
    assert run.outcome == "red"


def test_someone_inside_keeps_the_dome_closed(rehearsal: Rehearsal) -> None:
    """One line that is not ticked is a no."""
    run = rehearsal("night", steps=ALL_PASS, answers={"look": no_to("Nobody is inside")})
    assert (run.outcome, run.status["shutter"]) == ("declined", "omitted")


def test_a_weather_station_that_stutters_is_asked_again(rehearsal: Rehearsal) -> None:
    """Two lost connections are retried; no test waits for it."""
    gone = raises(ConnectionError("no answer"))
    run = rehearsal("night", steps={**ALL_PASS, "weather": [gone, gone, passes()]}, answers="all yes")
    assert run.outcome == "green"
    assert len(run.calls("weather")) == 3


@pytest.mark.parametrize(
    ("found", "status"), [(Verdict("done", outputs(is_open=True)), "passed"), (Verdict("unknown"), "unknown")]
)
def test_a_shutter_that_nobody_heard_of_is_looked_at(rehearsal: Rehearsal, found: Verdict, status: str) -> None:
    """A worker that died while the shutter moved is no reason to move it twice: its switches are asked."""
    for mock in (dies(verify=found), times_out(verify=found)):
        run = rehearsal("night", steps={**ALL_PASS, "shutter": mock}, answers="all yes")
        assert run.status["shutter"] == status
        assert len(run.calls("shutter")) == 1
        assert run.status["end/shutter"] == "passed"


def test_the_simulated_observatory_plays_its_part(rehearsal: Rehearsal, tmp_path: Path) -> None:
    """The step functions themselves, on a simulated observatory of the test's own."""
    observatory = SimulatedObservatory(tmp_path)
    run = rehearsal("night", real=["*"], services=observatory, answers="all yes")
    assert run.outcome == "green", run
    assert [frame.stars for frame in run.outputs("pictures")] == [60, 60]
    assert not observatory.read_shutter().is_open
