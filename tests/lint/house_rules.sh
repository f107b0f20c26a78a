#!/usr/bin/env bash
# The rules of the house that a program can check. Prints each breach as file:line; exit status 1 when there is any.
set -u
shopt -s lastpipe   # `breach` must set a variable of this shell
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bad=0
breach() {  # breach "rule" < lines
  local lines; lines=$(cat)
  [ -z "$lines" ] && return
  printf '%s:\n%s\n' "$1" "$lines"; bad=1
}
# Files that are not added yet are read too: lint before a commit must say what lint after it says.
sources() { git ls-files --cached --others --exclude-standard --deduplicate "$@" | grep -E '\.(h|cc)$'; }

sources core/base core/config core/hydra core/typing core/archive core/plugins core/model_files core/planning core/runs host | xargs -r grep -nE '#include [<"](torch|ATen|c10|caffe2)/' |
  breach "the torch-free rooms must not include torch"
sources plugins sdk | xargs -r grep -nE '#include "(core|host)/' | grep -vE '_test\.cc:|_test_data\.h:|test_' | breach "a plugin or the SDK must not include core or host"
# The picture of the rooms in docs/architecture.md, top to bottom: an arrow goes to a line further down.
declare -A level=()
awk '/^<!-- rooms/ { on = 1 } on && /^```/ { fence++ ; next } on && fence == 1 { for (i = 1; i <= NF; ++i) print $i, FNR } fence == 2 { exit }' docs/architecture.md |
  while read -r room line; do level[$room]=$line; done
sources core host | xargs -r grep -noE '#include "(core/[a-z_]+|host)/' | while IFS=: read -r file line text; do
  from=${file#core/}; from=${from%%/*}; to=${text#*\"}; to=${to#core/}; to=${to%%/*}
  [ "$from" = "$to" ] && continue
  [ -n "${level[$from]:-}" ] && [ -n "${level[$to]:-}" ] && [ "${level[$from]}" -lt "${level[$to]}" ] && continue
  echo "$file:$line: $from -> $to"
done | breach "an arrow between rooms that docs/architecture.md does not have"
for room in core/*/; do room=${room#core/}; [ -n "${level[${room%/}]:-}" ] || echo "core/$room"; done |
  breach "a room that is not in the picture of docs/architecture.md"
sources core | xargs -r grep -nE '#include "plugins/' | breach "core must not include a plugin"
sources sdk/include/fathom/abi | xargs -r grep -nE '#include <' | grep -vE '<(stdint|stddef)\.h>' | breach "the boundary includes only stdint.h and stddef.h"
sources core sdk plugins | grep -vE '_test\.cc$|describe_main\.cc$' | xargs -r grep -nE '(^|[^_a-zA-Z.>:])(std::)?(exit|abort|_exit|quick_exit|terminate)\(' | grep -vE '^\S+:[0-9]+: *(//|\*)' |
  breach "libraries must not end the process"
sources sdk/include core plugins | grep -E '\.h$' | xargs -r grep -nE '#include <torch/(torch|all)\.h>' | breach "headers must not include all of torch"
for header in $(sources sdk/include core host plugins | grep -E '\.h$'); do
  head -n 1 "$header" | grep -qE '^(//|/\*)' || echo "$header:1"
done | breach "every header opens with what it is for"
sources sdk core host plugins tests | xargs -r grep -nE '\b(TODO|FIXME|XXX)\b' | breach "unfinished work is an issue, not a comment"
sources sdk core host plugins tests | xargs -r awk 'FNR == 1 && n > 1000 { print f ": " n " lines" } { f = FILENAME; n = FNR } END { if (n > 1000) print f ": " n " lines" }' | breach "no file over 1000 lines"
exit $bad
