#!/usr/bin/env bash
# run_golden.sh RUNNER GOLDEN: every recorded suite that must pass today, from tests/conformance/passing.txt.
# Each line of that file is a suite and, optionally, a --filter; a suite is added when it passes, never taken out.
# MKL's Fourier transform rounds by the processor's instructions, and the logarithm of a silent band shows it: recordings are
# compared on the instructions that every processor has, so that the verdict is the same everywhere.
set -u
export MKL_ENABLE_INSTRUCTIONS=SSE4_2
runner=$1 golden=$2 here=$(dirname "${BASH_SOURCE[0]}") failed=0
while read -r suite filter; do
  case $suite in ''|'#'*) continue ;; esac
  path=$golden/$suite
  [ -e "$path" ] || path=$golden/$suite.jsonl
  [ -e "$path" ] || path=$path.gz
  printf '%-55s' "$suite${filter:+ ($filter)}"
  if output=$("$runner" "$suite" "$path" --strict ${filter:+--filter "$filter"} 2>&1); then tail -n 1 <<<"$output"
  else failed=1; tail -n 12 <<<"$output"; fi
done < "$here/passing.txt"
exit $failed
