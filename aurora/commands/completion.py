"""`completion SHELL`: print the script that makes TAB complete `aurora`, `invoke` and `inv`."""

from __future__ import annotations

import sys

from aurora.commands.parser import Invocation
from aurora.engine.project import Project

# Each asks the program itself, in invoke's own words, so `invoke` goes on completing the tasks of other projects.
# Where the program knows nothing, files are offered. bash: no `compgen -W`, which runs what stands in $(…).
SCRIPTS = {
    "bash": r"""# to have it always:  echo 'eval "$(aurora completion bash)"' >>~/.bashrc
_aurora_complete() {
    local candidate
    COMPREPLY=()
    while IFS= read -r candidate; do
        [[ $candidate == "$2"* ]] && COMPREPLY+=("$(printf %q "$candidate")")
    done < <("$1" --complete -- "${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null </dev/null)
}
complete -o default -F _aurora_complete aurora invoke inv
""",
    "zsh": r"""# to have it always:  echo 'eval "$(aurora completion zsh)"' >>~/.zshrc
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
_aurora_complete() {
    local -a candidates
    candidates=(${(f)"$("$words[1]" --complete -- "${(@)words[1,CURRENT]}" 2>/dev/null </dev/null)"})
    if (( $#candidates )); then compadd -- "${candidates[@]}"; else _files; fi
}
compdef _aurora_complete aurora invoke inv
""",
    "fish": r"""# to have it always:  echo 'aurora completion fish | source' >>~/.config/fish/config.fish
function __aurora_complete
    set -l before (commandline --tokenize --cut-at-cursor --current-process)
    set -l current (commandline --current-token --cut-at-cursor)
    set -l found ($before[1] --complete -- $before "$current" 2>/dev/null </dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path "$current"
    end
end
for program in aurora invoke inv
    complete --command $program --no-files --arguments '(__aurora_complete)'
end
""",
}


def execute(_project: Project | None, invocation: Invocation) -> int:
    """Print it."""
    sys.stdout.write(SCRIPTS[invocation.options.shell])
    return 0
