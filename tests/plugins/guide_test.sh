#!/usr/bin/env bash
# guide_test.sh BUILD WORK LIBTORCH LAUNCHER SOURCE: extracts every named block of docs/plugin-authors-guide.md, installs the
# build and runs the guide's own commands in the extracted project.
set -euo pipefail
build=$1 work=$2 libtorch=$3 launcher=$4 source=$5
rm -rf "$work"; mkdir -p "$work/project"
awk -v folder="$work/project" '
  /^```/ { if (file) { close(file); file = "" } else if (NF == 2) { file = folder "/" $2 } ; next }
  file { print > file }' "$source/docs/plugin-authors-guide.md"
cmake --install "$build" --prefix "$work/prefix" >"$work/install.log"
cd "$work/project"
export PREFIX=$work/prefix LIBTORCH=$libtorch PATH=$work/prefix/bin:$PATH CMAKE_CXX_COMPILER_LAUNCHER=$launcher
export OMP_NUM_THREADS=1
bash -euo pipefail run.sh >"$work/run.log" 2>&1 || { tail -n 60 "$work/run.log"; exit 1; }
grep -q 'samples' "$work/run.log" || { echo "plugins info shows no ports of a module with a required option"; exit 1; }
grep -q '"status": *"stopped"' summary.json || { echo "the callback did not stop the training"; cat summary.json; exit 1; }
