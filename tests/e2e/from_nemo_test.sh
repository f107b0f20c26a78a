#!/usr/bin/env bash
# from_nemo_test.sh BUILD WORK SOURCE: runs docs/from-nemo.md as it stands: its named blocks become files, its commands run in order.
set -euo pipefail
build=$1 work=$2 source=$3
rm -rf "$work"; mkdir -p "$work"
awk -v folder="$work" '
  /^```/ { if (file) { close(file); file = "" } else if ($1 == "```sh") file = folder "/run.sh"; else if (NF == 2) file = folder "/" $2; next }
  file { print >> file }' "$source/docs/from-nemo.md"
cd "$work"
export FATHOM_SOURCE=$source PATH=$build/bin:$PATH OMP_NUM_THREADS=1
bash -euo pipefail run.sh >run.log 2>&1 || { tail -n 60 run.log; exit 1; }
[ -f run/checkpoints/digits-transducer.nemo ] && [ -f tdt/checkpoints/digits-transducer.nemo ] || { echo "a model is missing"; exit 1; }
grep -q '"pred_text"' run.log && grep -q '"wer"' run.log || { echo "nothing was transcribed"; tail -n 40 run.log; exit 1; }
