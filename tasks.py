"""Aurora's tasks for `invoke`; what follows a command is read by Aurora itself (`aurora.commands.invoke_bridge`)."""

from aurora.commands.invoke_bridge import collection

namespace = collection()
