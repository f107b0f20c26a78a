#!/usr/bin/env bash
# runner_test.sh FATHOM_CONFORMANCE: a record that lacks what its suite reads, or expects an error that does not come, is a
# failed case; the cases after it are run. A model whose class no plugin has is skipped, unless that is an error (--strict).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cat > "$work/odd.jsonl" <<'CASES'
{"id": "no-trajectory", "optimizer": "sgd", "problem": "v3_f64", "options": {"lr": 0.1}}
{"id": "an-error", "optimizer": "sgd", "problem": "v3_f64", "options": {"lr": 0.1}, "error": "ValueError"}
{"id": "nothing"}
CASES
status=0; out=$("$1" optimizers "$work/odd.jsonl" 2>&1) || status=$?
[ "$status" = 1 ] && grep -q '3 failed' <<<"$out" || { echo "status $status: $out" >&2; exit 1; }

mkdir -p "$work/models/tiny/tiny.nemo"
echo '{"class": "nemo.collections.asr.models.NoSuchModel"}' > "$work/models/tiny/meta.json"
echo 'target: nemo.collections.asr.models.NoSuchModel' > "$work/models/tiny/tiny.nemo/model_config.yaml"
out=$("$1" nemo_models/models "$work/models")
[ "$out" = "$(printf '1 skipped: not supported yet: nemo.collections.asr.models.NoSuchModel (1)\n0 passed, 0 failed')" ] || { echo "$out" >&2; exit 1; }
status=0; out=$("$1" nemo_models/models "$work/models" --strict) || status=$?
[ "$status" = 1 ] && [ "$(tail -n 1 <<<"$out")" = '0 passed, 1 failed' ] || { echo "status $status: $out" >&2; exit 1; }
