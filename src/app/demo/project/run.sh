# Runs every test; each is a script of its own that ends with 0 when what it says is so.
cd "$(dirname "$0")/.."
failed=0
for test in tests/*.sh; do
    [ "$test" = tests/run.sh ] && continue
    if sh -eu "$test"; then
        echo "ok      $test"
    else
        echo "FAILED  $test"
        failed=1
    fi
done
exit $failed
