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

gnatter=$PWD/../gnatter
"$gnatter" cert init --dir "$work/pki" --name localhost >/dev/null
"$gnatter" cert ca --dir "$work/other" --subject CN=other >/dev/null
: >"$work/log"
"$gnatter" broker --listen mqtts://127.0.0.1:0 --pfx "$work/pki/server.pfx" --ca "$work/pki/ca.pem" \
    --data none >"$work/log" 2>&1 &
broker=$!
until port=$(sed -n 's|.* ready listen=mqtts://127.0.0.1:\([0-9]*\) .*|\1|p' "$work/log") &&
    [ "$port" ]; do
    kill -0 $broker 2>/dev/null || fail "the broker ended: $(cat "$work/log")"
    sleep 0.05
done
url=mqtts://localhost:$port
said=$(./secure_publisher "$url" "$work/pki/ca.pem" "$work/pki/client.pfx")
[ "$said" = 'published to greetings' ] || fail "the secure publisher says: $said"
! ./secure_publisher "$url" "$work/other/ca.pem" "$work/pki/client.pfx" 2>"$work/error" ||
    fail "any CA is fine"
grep -q "the server's certificate: wrong CA" "$work/error" || fail "not said: $(cat "$work/error")"
kill $broker
wait $broker || fail "the broker ended with $?"
broker=''
! ./embedded_broker mqtt://0.0.0.0:0 2>"$work/error" || fail "it is open to all"
grep -q allow_anonymous "$work/error" || fail "not explained: $(cat "$work/error")"

# One with users of its own: who is nobody may listen, and not speak.
exec 3<>"$work/says"
./own_users >&3 &
broker=$!
read -r line <&3
port=${line##*:}
[ "$line" = "listening on mqtt://127.0.0.1:$port" ] || fail "the second broker says: $line"
! ./publisher 127.0.0.1 "$port" greetings/all 'good morning' 2>"$work/error" || fail "nobody speaks"
read -r line <&3
[ "${line%:*}" = 'somebody is here from 127.0.0.1' ] || fail "the second broker says: $line"
read -r line <&3
[ "${line%:*}" = 'somebody has gone' ] || fail "the second broker says: $line"
! ./subscriber 127.0.0.1 "$port" 'private/#' 1 2>"$work/error" || fail "it may hear everything"
kill -INT $broker
wait $broker || fail "the second broker ended with $?"
broker=''

: >"$work/log"
"$gnatter" broker --listen amqp://127.0.0.1:0 --data none >"$work/log" 2>&1 &
broker=$!
until port=$(sed -n 's|.* ready listen=amqp://127.0.0.1:\([0-9]*\).*|\1|p' "$work/log") &&
    [ "$port" ]; do
    kill -0 $broker 2>/dev/null || fail "the broker ended: $(cat "$work/log")"
    sleep 0.05
done
url=amqp://127.0.0.1:$port
said=$(./amqp_send "$url" greetings 'good morning' 'good evening')
[ "$said" = '2 sent to greetings' ] || fail "the AMQP sender says: $said"
heard=$(./amqp_receive "$url" greetings 2)
[ "$heard" = 'good morning
good evening' ] || fail "the AMQP receiver heard: $heard"
./amqp_request "$url" shout &
subscriber=$!
said=$(./amqp_request "$url" shout 'good night')
[ "$said" = 'GOOD NIGHT' ] || fail "the service answers: $said"
wait $subscriber || fail "the service failed"
subscriber=''
kill $broker
wait $broker || fail "the broker ended with $?"
broker=''
! ./amqp_send "$url" greetings 'good morning' 2>"$work/error" || fail "somebody is still there"

# A service of its own: whoever asks needs no broker.
mkfifo "$work/ends" "$work/serves"
./amqp_service amqp://127.0.0.1:0 <"$work/ends" >"$work/serves" &
broker=$!
exec 4>"$work/ends"
read -r line <"$work/serves"
url=${line#shouting at }
[ "$line" = "shouting at amqp://127.0.0.1:${url##*:}" ] || fail "the service says: $line"
said=$(./amqp_request "$url" shout 'good night')
[ "$said" = 'GOOD NIGHT' ] || fail "it answers: $said"
! ./amqp_request "$url" elsewhere 'good night' 2>"$work/error" || fail "it answers elsewhere"
exec 4>&-
wait $broker || fail "the service ended with $?"
broker=''
echo "examples: the brokers, the subscriber, the publishers and those of AMQP work together"
