"""Security: what bandit finds in the code, by severity, and what is known of the locked dependencies' versions."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCAN_S = 300
AUDIT_S = 300
MOST = 50
PUBLIC = "https://api.osv.dev/v1/query"
_SEVERITIES = ("HIGH", "MEDIUM", "LOW")


@dataclass(frozen=True)
class Security:
    """What was found. scanned: bandit read all of the code; audited: each locked package was asked about.

    high, medium, low: findings by bandit's severity. findings: the high and the medium ones, as FILE:LINE.
    vulnerable: packages with a known vulnerability, whatever its severity: nobody rates it for this desk.
    notes: why something was not looked at.
    """

    scanned: bool
    lines: int
    high: int
    medium: int
    low: int
    findings: list[str]
    audited: bool
    packages: int
    vulnerable: list[str]
    notes: list[str]


def look_at_security(root: Path, paths: Sequence[str], lock: str, service: str) -> Security:
    """Scan the code below `paths` and audit the lock file, both relative to `root`.

    service: the address of an OSV service, which is asked about each package. What can't be looked at is not clean.
    """
    notes: list[str] = []
    scan = _scan(root, paths, notes)
    issues = [] if scan is None else scan["results"]
    counts = {name: sum(each["issue_severity"] == name for each in issues) for name in _SEVERITIES}
    worth = [each for name in _SEVERITIES[:2] for each in issues if each["issue_severity"] == name]
    packages = _audit(root, lock, service, notes)
    return Security(
        scanned=scan is not None,
        lines=0 if scan is None else int(scan["metrics"]["_totals"]["loc"]),
        high=counts["HIGH"],
        medium=counts["MEDIUM"],
        low=counts["LOW"],
        findings=[_finding(each) for each in worth[:MOST]],
        audited=packages is not None,
        packages=len(packages or ()),
        vulnerable=[text for each in packages or () if (text := _vulnerable(each))],
        notes=notes,
    )


def _scan(root: Path, paths: Sequence[str], notes: list[str]) -> dict[str, Any] | None:
    """Return bandit's report, or None with a note when it did not read all."""
    done = _run(root, ["bandit", "-q", "-r", *paths, "-f", "json"], SCAN_S, notes)
    if done is None:
        return None
    try:
        report = json.loads(done)
        errors, lines = report["errors"], report["metrics"]["_totals"]["loc"]
        severities = {each["issue_severity"] for each in report["results"]} - set(_SEVERITIES)
    except (ValueError, KeyError, TypeError):
        notes.append("bandit's report can't be read; by hand: bandit -r " + " ".join(paths))
        return None
    if errors or not lines or severities:
        notes.append(f"bandit did not read all: {errors[:3] or severities or 'there is no code there'}")
        return None
    return dict(report)


def _audit(root: Path, lock: str, service: str, notes: list[str]) -> list[dict[str, Any]] | None:
    """Return what pip-audit says of each package of the lock, or None with a note."""
    if not (root / lock).is_file():
        notes.append(f"there is no {lock}: no dependency was looked at")
        return None
    words = ["pip_audit", "-r", lock, "--disable-pip", "--require-hashes", "-f", "json", "--progress-spinner", "off"]
    done = _run(root, [*words, "-s", "osv", "--osv-url", service], AUDIT_S, notes)
    if done is None:
        return None
    try:
        packages = json.loads(done)["dependencies"]
        unasked = [str(each["name"]) for each in packages if "vulns" not in each]
    except (ValueError, KeyError, TypeError):
        notes.append("the dependencies were not audited: the service did not answer (is there network?)")
        return None
    if unasked or not packages:
        notes.append(f"not audited: {', '.join(unasked) or 'the lock is empty'}")
        return None
    return list(packages)


def _run(root: Path, words: Sequence[str], limit_s: float, notes: list[str]) -> str | None:
    """Return what a tool wrote; both exit 1 when they found something."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=root, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        notes.append(f"{words[0]} can't be run: {type(error).__name__}")
        return None
    if "No module named" in done.stderr:
        notes.append(f"{words[0]} is not installed: it comes with make check")
        return None
    return done.stdout


def _finding(issue: dict[str, Any]) -> str:
    where = f"{issue['filename'].removeprefix('./')}:{issue['line_number']}"
    return f"{where}: {issue['issue_severity'].lower()} {issue['test_id']}: {issue['issue_text']}"[:300]


def _vulnerable(package: dict[str, Any]) -> str:
    names = [str(each["id"]) for each in package["vulns"]]
    fixes = sorted({str(version) for each in package["vulns"] for version in each.get("fix_versions", ())})
    if not names:
        return ""
    return f"{package['name']} {package['version']}: {', '.join(names)}; mended in {', '.join(fixes) or 'no version'}"
