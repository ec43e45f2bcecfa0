"""Steps that look at the machine: clock, environment, secrets, code, disk, kill flag, ports."""

from __future__ import annotations

from dataclasses import dataclass

from aurora.engine.context import Context
from aurora.engine.locks import blocking
from aurora.engine.project import Project
from aurora.engine.records import is_unfinished
from aurora.engine.registry import step
from aurora.housekeeping import machine
from aurora.housekeeping.drift import Drift, read_drift
from aurora.housekeeping.machine import ClockSync, Code, Disk, Port, SecretsCheck, TimeZone, Variables
from aurora.housekeeping.week import WarmedUp, Week, compare_with_warmed_up, read_week
from aurora.risk.lockout import Lockout
from aurora.session.services import Services


@dataclass(frozen=True)
class KillFlag:
    """Whether no kill flag lies at the project's root; path: where it would be, relative to the project."""

    absent: bool
    path: str


@dataclass(frozen=True)
class LockoutFound:
    """Whether the profile's mode is not locked out; reasons: what locked it out, the first anomaly first."""

    absent: bool
    mode: str
    reasons: list[str]


@dataclass(frozen=True)
class LocksFound:
    """Which of the locks asked for are taken, by a run that is going or by one that is not finished."""

    taken: list[str]


@step(repeat="safe")
def locks(context: Context[Services], names: list[str]) -> LocksFound:
    """Look whether a run holds one of the locks `names`, or blocks it; none is removed."""
    project = Project(context.project)
    taken = [blocking(project.runs / ".locks", name, lambda run: is_unfinished(project, run)) for name in names]
    return LocksFound([each for each in taken if each])


@step(repeat="safe")
def utc() -> TimeZone:
    """Look at the machine's local time zone."""
    return machine.read_time_zone()


@step(repeat="safe")
def clock_sync() -> ClockSync:
    """Ask the kernel whether a time service disciplines the clock."""
    return machine.read_clock_sync()


@step(repeat="safe", dry_run="skip")
def drift(context: Context[Services]) -> Drift:
    """Hold the machine's clock against the profile's NTP servers, and against what chrony says."""
    return read_drift(context.profile.machine.ntp_servers)


@step(repeat="safe")
def environment(context: Context[Services], names: list[str] | None = None) -> Variables:
    """Look which variables are set: `names`, or all that the profile names."""
    profile, services = context.profile, context.services
    wanted = [*profile.environment, *profile.secrets] if names is None else names
    return machine.read_environment(wanted, services.environment)


@step(repeat="safe")
def secrets(context: Context[Services]) -> SecretsCheck:
    """Look for the profile's secrets in files that git tracks, and at who may read `.env`."""
    return machine.check_secrets(context.project, context.profile.secrets, context.services.environment)


@step(repeat="safe")
def code(context: Context[Services]) -> Code:
    """Tell which commit will run, and whether the working tree is exactly that."""
    return machine.read_code(context.project)


@step(repeat="safe", dry_run="skip")
def warmed_up(context: Context[Services], runbook: str = "warmup") -> WarmedUp:
    """Compare the code, what is not committed of it, and its dependencies with those that were warmed up."""
    code = machine.read_code(context.project)
    found = compare_with_warmed_up(context.project / "runs", runbook, context.profile.digest, code)
    context.log(found.note)
    return found


@step(repeat="safe", dry_run="skip")
def week(context: Context[Services], days: int = 7) -> Week:
    """Look how the sealed sessions of the last days ended, on the profile's venue."""
    found = read_week(context.project / "runs", str(context.profile.venue), context.services.clock.now(), days)
    for line in [found.note, *(f"explained: {each}" for each in found.explained)]:
        context.log(line)
    return found


@step(repeat="safe")
def disk(context: Context[Services]) -> Disk:
    """Tell how much space is free where runs are recorded."""
    return machine.read_disk(context.project / "runs")


@step(repeat="safe")
def kill_flag(context: Context[Services]) -> KillFlag:
    """Look whether a kill flag is set; Aurora itself never removes one."""
    switch = context.services.kill_switch
    return KillFlag(not switch.is_set, switch.flag.name)


@step(repeat="safe")
def lockout(context: Context[Services]) -> LockoutFound:
    """Look whether the profile's mode is locked out; only `invoke unlock` lifts that."""
    found = Lockout(context.project, context.profile.mode)
    return LockoutFound(not found.stands, found.mode, [anomaly.reason for anomaly in found.anomalies()])


@step(repeat="safe", dry_run="skip")
def port(context: Context[Services], host: str = "", port: int = 0) -> Port:
    """Try to connect to where a session would find its gateway: IB_HOST and IB_PORT, unless told otherwise."""
    return machine.probe_gateway(context.services.environment, host, port)
