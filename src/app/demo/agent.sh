#!/bin/sh
# The agent of the demonstration: a script in the place of a language model.
#
# It gets what every agent gets: its order as the first prompt, a worktree of its own, and the commands co and wo. Only
# what it edits is known beforehand.
set -eu
prompt=$1
here=$(dirname "$0")

# A real agent thinks; this one waits until two have been seen at work at the same time.
think() {
    tries=0
    until [ -e "$here/seen" ]; do
        tries=$((tries + 1))
        if [ "$tries" -gt 600 ]; then
            echo "nobody came to look at me"
            exit 1
        fi
        sleep 0.05 2>/dev/null || sleep 1
    done
}

run_the_tests() {
    echo "I run the tests:"
    sh tests/run.sh
}

commit() {
    git add -A
    git commit -q -m "$1"
    echo "I committed $(git log -1 --format='%h %s')"
}

add_the_flag() {
    git apply - <<'PATCH'
--- a/greet
+++ b/greet
@@ -5,3 +5,6 @@
 # Options.
-#   (none yet)
+case ${1:-} in
+--version) echo "greet 1.0"; exit 0 ;;
+-*) echo "greet: no such option: $1" >&2; exit 2 ;;
+esac
 
PATCH
    cat >tests/version.sh <<'TEST'
# The flag is answered, and nothing else is said.
[ "$(sh ./greet --version)" = "greet 1.0" ]
TEST
    run_the_tests
    commit "Answer --version, refuse other options"
}

# The mistake of this one: it does not run the tests, and greets nobody where no name is given.
greet_several_too_fast() {
    git apply - <<'PATCH'
--- a/greet
+++ b/greet
@@ -8,3 +8,4 @@
 # People.
-name=${1:-world}
-echo "Hello, $name!"
+for name; do
+    echo "Hello, $name!"
+done
PATCH
    cat >tests/several.sh <<'TEST'
# Each gets a line.
[ "$(sh ./greet Ann Bob | wc -l)" -eq 2 ]
TEST
    commit "Greet everybody who is named"
}

greet_several_rightly() {
    echo "QA sent it back: with no name given the world is to be greeted."
    git apply - <<'PATCH'
--- a/greet
+++ b/greet
@@ -8,4 +8,5 @@
 # People.
+[ $# -gt 0 ] || set -- world
 for name; do
     echo "Hello, $name!"
 done
PATCH
    run_the_tests
    commit "Greet the world where nobody is named"
}

document_the_flag() {
    version=$(sh ./greet --version)
    printf '\n`greet --version` prints `%s`.\n' "$version" >>README.md
    run_the_tests
    commit "Say what --version prints"
}

echo "I am $AGENT_ID, and my order is $WORK_ORDER_ID."
co assignment
wo show "$WORK_ORDER_ID"
think
case $prompt in
*"Add a --version flag"*) add_the_flag ;;
*"Greet several people at once"*"sent it back"*) greet_several_rightly ;;
*"Greet several people at once"*) greet_several_too_fast ;;
*"Document the flag"*) document_the_flag ;;
*)
    echo "this order is none that I know"
    exit 1
    ;;
esac
co worker done
