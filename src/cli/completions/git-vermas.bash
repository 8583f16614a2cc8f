# Completion of `git vermas`, `git-vermas`, `co` and `wo` for bash. The candidates come from the program itself.

# Asks for the candidates: $1 is the place of the word being completed, the words follow.
_git_vermas_ask() {
    local index=$1 line
    shift
    local words=("$@")
    local cur=${words[index]}
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <(VERMAS_COMPLETE=bash VERMAS_COMPLETE_INDEX=$index VERMAS_COMPLETE_TYPE=${COMP_TYPE:-9} \
        git-vermas -- "${words[@]}" 2>/dev/null)
    # readline replaces only what stands behind the last break in the word.
    local breaks=${COMP_WORDBREAKS-:=} tail=$cur
    [[ $breaks == *:* ]] && tail=${tail##*:}
    [[ $breaks == *=* ]] && tail=${tail##*=}
    COMPREPLY=("${COMPREPLY[@]#"${cur%"$tail"}"}")
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/:] ]]; then
        compopt -o nospace 2>/dev/null
    else
        compopt +o nospace 2>/dev/null
    fi
}

# For the program under its own names: puts words together again that readline broke at ':' and '='.
_git_vermas_main() {
    local words=() cword=0 rest=$COMP_LINE word i
    for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $i -gt 0 && -n $COMP_LINE && $rest != [[:space:]]* ]]; then
            words[${#words[@]}-1]+=$word
        else
            rest=${rest#"${rest%%[![:space:]]*}"}
            words+=("$word")
        fi
        rest=${rest#"$word"}
        [[ $i -eq $COMP_CWORD ]] && cword=$((${#words[@]} - 1))
    done
    _git_vermas_ask "$cword" "${words[@]}"
}

# For `git vermas`: git's own completion calls this, with the line in words and cword.
_git_vermas() {
    local at=${__git_cmd_idx:-1}
    local mine=(git-vermas ${__git_C_args[@]+"${__git_C_args[@]}"} "${words[@]:at+1}")
    _git_vermas_ask $((cword - at + ${#__git_C_args[@]})) "${mine[@]}"
}

complete -o bashdefault -o nosort -F _git_vermas_main git-vermas co wo 2>/dev/null ||
    complete -o bashdefault -F _git_vermas_main git-vermas co wo
