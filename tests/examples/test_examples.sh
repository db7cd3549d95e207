#!/bin/sh
# Runs the examples together, as their users would: test_examples.sh DIRECTORY_OF_THE_PROGRAMS
set -eu
cd "${1:?usage: test_examples.sh DIRECTORY}"
work=$(mktemp -d)
broker='' subscriber=''
finish() {
    # shellcheck disable=SC2086 # none or one word
    kill $broker $subscriber 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

fail() {
    echo "examples: $*" >&2
    exit 1
}

mkfifo "$work/says"
./embedded_broker >"$work/says" &
broker=$!
read -r line <"$work/says"
port=${line##*:}
[ "$line" = "listening on mqtt://127.0.0.1:$port" ] || fail "the broker says: $line"

heard=$(./subscriber 127.0.0.1 "$port" ticks 1)
[ "$heard" = 'ticks tick' ] || fail "the subscriber heard: $heard"

# Published again and again until the subscriber, who may not be there yet, has heard it.
./subscriber 127.0.0.1 "$port" 'greetings/#' 1 >"$work/heard" &
subscriber=$!
while kill -0 $subscriber 2>/dev/null; do
    said=$(./publisher 127.0.0.1 "$port" greetings/all 'good morning')
    [ "$said" = 'published to greetings/all' ] || fail "the publisher says: $said"
done
wait $subscriber || fail "the subscriber failed"
subscriber=''
[ "$(cat "$work/heard")" = 'greetings/all good morning' ] || fail "it heard: $(cat "$work/heard")"

kill -INT $broker
wait $broker || fail "the broker ended with $?"
broker=''
! ./publisher 127.0.0.1 "$port" 2>/dev/null || fail "somebody answers where nobody is"
! ./embedded_broker mqtt://0.0.0.0:0 2>"$work/error" || fail "it is open to all"
grep -q allow_anonymous "$work/error" || fail "not explained: $(cat "$work/error")"
echo "examples: the broker, the subscriber and the publisher work together"
