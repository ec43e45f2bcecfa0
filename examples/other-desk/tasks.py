"""The observatory's tasks for `invoke`: `invoke lint`, `invoke runbook night`."""

from aurora.commands.invoke_bridge import collection

namespace = collection()
