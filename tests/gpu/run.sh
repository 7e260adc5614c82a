#!/bin/sh
# What one large GPU (80 to 141 GB) does with this checkout, in at most nine minutes and without a network.
#
#   PYTHON=.venv/bin/python tests/gpu/run.sh [OUT] [--device cuda|cpu] [--shape large|tiny] [--minutes M]
#
# OUT (runs/gpu) gets results.json and a log of each part. --device cpu --shape tiny tries the script out anywhere,
# in a minute on two idle cores; --minutes 30 where they are busy.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
# Checkpoints take 25 GB for a while; in memory where there is room, for it is faster than a disk.
free=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
if [ -z "${TMPDIR:-}" ] && [ "${free:-0}" -gt 40000000 ]; then export TMPDIR=/dev/shm; fi
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
exec "${PYTHON:-python3}" -m tests.gpu "$@"
