#!/usr/bin/env bash
# The README's first minute, as a stranger would do it: npm start, paste the printed ssh line, leave, stop the service.
# Prints "ok …" or "not ok …" for each thing that must hold, and exits non-zero when one did not.
set -u
cd "$(dirname "$0")/../../.." || exit 1

work="$(mktemp -d)"
# Everything that npm start starts inherits this word, pods included where they keep the environment.
export KUBERUN_SMOKE="smoke-$$-$RANDOM"
failed=0

report() { # what, 0 or 1
  if [ "$2" = 0 ]; then echo "ok $1"; else
    echo "not ok $1"
    failed=1
  fi
}

# Waits until the command succeeds, at most the given number of seconds.
within() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    if [ "$SECONDS" -ge "$deadline" ]; then return 1; fi
    sleep 0.1
  done
}

descendants() { # of a process: pid and start time, one a line
  local child
  for child in $(cat /proc/"$1"/task/*/children 2> /dev/null); do
    echo "$child $(started "$child")"
    descendants "$child"
  done
}
started() { sed 's/.*) //' /proc/"$1"/stat 2> /dev/null | cut -d' ' -f20; }
gone() { ! kill -0 "$1" 2> /dev/null; }

service=""
cleanup() { # also on the way out after a failure: npm alone would leave its script behind
  if [ -n "$service" ] && ! gone "$service"; then
    # shellcheck disable=SC2046 # a list of process ids
    kill -KILL "$service" $(descendants "$service" | cut -d' ' -f1) 2> /dev/null
  fi
  rm -rf "$work"
}
trap cleanup EXIT

npm start --silent -- --listen 127.0.0.1:0 > "$work/stdout" 2> "$work/stderr" &
service=$!

ready_line() { grep -q '^ready: ' "$work/stdout" && grep -q '^kubectl: ' "$work/stdout"; }
before=$SECONDS
within 30 ready_line
report "npm start prints the ready line and the kubectl line (after about $((SECONDS - before)) s)" $?
if ! ready_line; then
  cat "$work/stdout" "$work/stderr"
  exit 1
fi
[ "$(wc -l < "$work/stdout")" = 2 ]
report "stdout holds these two lines and nothing else" $?
[ "$(stat -c %a .kuberun)" = 700 ] && [ "$(stat -c %a .kuberun/client_key)" = 600 ]
report "the state folder is its owner's alone" $?

line="$(sed -n 's/^ready: //p' "$work/stdout")"
options="-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o ConnectTimeout=20"
paste() { # the printed line, as it stands, with a command behind it
  eval "timeout 40 ${line/#ssh /ssh $options } $1" 2>> "$work/ssh.stderr"
}

said="$(paste "'echo hello; exit 7'")"
status=$?
[ "$said" = hello ] && [ "$status" = 7 ]
report "the pasted line runs a command: its output arrives, and its exit status is the client's" $?
[ "$(head -c 1000000 /dev/urandom | tee "$work/sent" | paste "'cat'" | cksum)" = "$(cksum < "$work/sent")" ]
report "a megabyte comes back as it was sent" $?

if command -v kubectl > /dev/null 2>&1; then
  # The service's own kubectl line, without the watch.
  pods="$(sed -n 's/^kubectl: //p' "$work/stdout" | sed 's/ -w$/ --no-headers/')"
  no_pods() { [ -z "$(eval "timeout 20 $pods" 2> /dev/null)" ]; }
  within 20 no_pods
  report "no pod is left when the clients have left" $?
fi

# One client is still inside, with a child of its own, when the service is told to stop.
mkfifo "$work/stdin"
exec 9<> "$work/stdin" # held open, so that the client waits for more
paste "'sleep 1000 & echo inside; cat'" < "$work/stdin" > "$work/inside" &
client=$!
inside() { grep -q inside "$work/inside" 2> /dev/null; }
within 30 inside
report "a second session is inside" $?
descendants "$service" > "$work/descendants"
[ "$(wc -l < "$work/descendants")" -ge 3 ] # npm's node, and in the pod at least the sleep and the cat
report "the service's processes can be seen" $?
before=$SECONDS
kill -TERM "$service"
within 12 gone "$service"
[ $((SECONDS - before)) -le 10 ] && gone "$service"
report "SIGTERM ends the service within 10 seconds, with a client inside" $?
wait "$service"
status=$?
[ "$status" = 0 ]
report "its exit status is 0 (was $status)" $?
within 10 gone "$client"
report "the client that was inside has been told" $?

# By identity (pid and start time) and by the inherited word, this script and its own helpers aside.
left() {
  local pid start
  while read -r pid start; do
    [ -n "$start" ] && [ "$(started "$pid")" = "$start" ] && echo "$pid"
  done < "$work/descendants"
  for environment in /proc/[0-9]*/environ; do
    pid="${environment#/proc/}"
    pid="${pid%/environ}"
    [ "$pid" = $$ ] && continue
    grep -qz "^npm_lifecycle_event=start$" "$environment" 2> /dev/null &&
      grep -qz "^KUBERUN_SMOKE=$KUBERUN_SMOKE$" "$environment" 2> /dev/null && echo "$pid"
  done
}
none_left() { [ -z "$(left)" ]; }
within 5 none_left
report "no process is left" $?

if [ "$failed" != 0 ]; then
  echo "--- the service's log"
  tail -n 40 "$work/stderr"
  echo "--- what ssh said"
  tail -n 20 "$work/ssh.stderr"
fi
exit "$failed"
