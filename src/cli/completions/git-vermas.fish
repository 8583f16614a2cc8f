# Completion of `git-vermas`, `co` and `wo` for fish, and by fish's own completion of git also of `git vermas`. The
# candidates come from the program itself.

function __git_vermas_ask
    set -lx VERMAS_COMPLETE fish
    git-vermas -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token --cut-at-cursor) 2>/dev/null
end

for name in git-vermas co wo
    complete --command $name --no-files --keep-order --arguments '(__git_vermas_ask)'
end
