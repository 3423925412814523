#!/usr/bin/env bash
# Run a job safely without anybody watching: nightly.sh NAME COMMAND [ARGUMENT...]
#
# One run of a NAME at a time: a second one leaves with 75 and does nothing. Exit code 1 (something unexpected) is tried
# again; 2 (settings or model refused), 3 (too many media failed), signals and all others are not. The job's last exit
# code is this script's, and a line of the log. Cron mails what is printed: nothing, unless the job failed.
#
# NIGHTLY_STATE    folder of the locks               (default: /var/lib/detector)
# NIGHTLY_LOGS     folder of the logs, NAME.log      (default: /var/log/detector; logrotate turns them)
# NIGHTLY_TRIES    tries in all                      (default: 3)
# NIGHTLY_PAUSE_S  seconds before the next try       (default: 600)
set -uo pipefail
umask 027

readonly BUSY=75 USAGE=64

if (($# < 2)) || [[ ! $1 =~ ^[a-z][a-z0-9_-]*$ ]]; then
    echo "usage: nightly.sh NAME COMMAND [ARGUMENT...], NAME of a-z, 0-9, _ and -" >&2
    exit "$USAGE"
fi
readonly name=$1
shift
# systemd names the folders that it made for the unit; where there are several, the first is ours.
readonly state=${NIGHTLY_STATE:-${STATE_DIRECTORY:-/var/lib/detector}}
readonly logs=${NIGHTLY_LOGS:-${LOGS_DIRECTORY:-/var/log/detector}}
readonly tries=${NIGHTLY_TRIES:-3} pause_s=${NIGHTLY_PAUSE_S:-600}
mkdir -p "$state" "$logs" || exit 1
readonly log=$logs/$name.log

say() {
    printf '%s nightly %s: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$name" "$*" >>"$log"
}

# The job inherits the lock: should this script be killed alone, the next run still waits for the job's end.
exec 9>>"$state/$name.lock" || exit 1
if ! flock --nonblock 9; then
    say "another run is at work; left with $BUSY"
    echo "nightly $name: another run is at work, nothing was done" >&2
    exit "$BUSY"
fi

child=0 stopped=0
# The job ends its own Spark; this script waits for that.
# shellcheck disable=SC2329  # the traps below invoke it
stop() {
    stopped=$1
    ((child)) && kill -TERM "$child" 2>/dev/null
}
trap 'stop 15' TERM
trap 'stop 2' INT
trap 'stop 1' HUP

# Wait for the child however many signals come meanwhile; its exit code is the function's.
await() {
    local code
    ((stopped)) && kill -TERM "$child" 2>/dev/null  # told before the child's number was known
    while true; do
        wait "$child"
        code=$?
        kill -0 "$child" 2>/dev/null || break
    done
    child=0
    return "$code"
}

for ((try = 1; try <= tries; try++)); do
    say "try $try of $tries: $*"
    began=$SECONDS
    "$@" >>"$log" 2>&1 </dev/null &
    child=$!
    await
    code=$?
    say "exit code $code after $((SECONDS - began)) s"
    if ((stopped)); then
        code=$((128 + stopped))
        say "told to stop; left with $code"
        break
    fi
    ((code == 1 && try < tries)) || break
    say "once more in $pause_s s"
    sleep "$pause_s" 9>&- &
    child=$!
    await
    if ((stopped)); then
        code=$((128 + stopped))
        say "told to stop; left with $code"
        break
    fi
done

if ((code != 0)); then
    echo "nightly $name: exit code $code; the end of $log:" >&2
    tail -n 20 "$log" >&2
fi
exit "$code"
