#!/bin/sh
# Tell Spark which GPUs this machine has, as its resource discovery asks: {"name": "gpu", "addresses": ["0","1"]}.
# The addresses are nvidia-smi's indices, which the worker gives to TensorFlow. On a machine without a GPU or driver
# this fails, so that no executor starts there that would never get a task.
set -eu

indices=$(nvidia-smi --query-gpu=index --format=csv,noheader) || {
    echo "find_gpus.sh: nvidia-smi found no GPU on $(hostname): $indices" >&2
    exit 1
}
addresses=$(printf '%s\n' "$indices" | sed -n 's/^ *\([0-9][0-9]*\) *$/"\1"/p' | paste -s -d, -)
if [ -z "$addresses" ]; then
    echo "find_gpus.sh: nvidia-smi names no GPU on $(hostname): $indices" >&2
    exit 1
fi
printf '{"name": "gpu", "addresses": [%s]}\n' "$addresses"
