#!/usr/bin/env bash
# runner_test.sh FATHOM_CONFORMANCE: a record that lacks what its suite reads, or expects an error that does not come, is a
# failed case; the cases after it are run.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cat > "$work/odd.jsonl" <<'CASES'
{"id": "no-trajectory", "optimizer": "sgd", "problem": "v3_f64", "options": {"lr": 0.1}}
{"id": "an-error", "optimizer": "sgd", "problem": "v3_f64", "options": {"lr": 0.1}, "error": "ValueError"}
{"id": "nothing"}
CASES
status=0; out=$("$1" optimizers "$work/odd.jsonl" 2>&1) || status=$?
[ "$status" = 1 ] && grep -q '3 failed' <<<"$out" || { echo "status $status: $out" >&2; exit 1; }
