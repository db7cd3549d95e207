/* What guessing passwords costs the address that it comes from (auth/guess.h). */

#include "auth/guess.h"
#include "base/log.h"
#include "front/mqtt/connection.h"

static struct gnt_guess_source source_of(const struct gnt_stream *stream)
{
    struct sockaddr_storage address;
    gnt_stream_address(stream, &address);
    return gnt_guess_source((const struct sockaddr *)&address);
}

static bool is_blocked(const struct gnt_mqtt_front *front, const struct gnt_stream *stream)
{
    struct gnt_guess *guess = front->shared->guess;
    if (!guess)
        return false;
    struct gnt_guess_source source = source_of(stream);
    return gnt_guess_blocked(guess, &source, front->loop->now) != 0;
}

bool gnt_mqtt_front_blocks(struct gnt_mqtt_front *front, struct gnt_stream **stream)
{
    char peer[64];
    if (!is_blocked(front, *stream))
        return false;
    gnt_count(&front->home->counters, GNT_COUNT_CONNECTIONS_ACCEPTED, 1);
    gnt_count(&front->home->counters, GNT_COUNT_CONNECTIONS_REFUSED, 1);
    gnt_count(&front->home->counters, GNT_COUNT_BLOCKED, 1);
    gnt_stream_peer(*stream, peer, sizeof peer);
    gnt_log_limited(GNT_LOG_INFO, NULL, "turn away connection",
                    GNT_F_STR("reason", "passwords were guessed from there"),
                    GNT_F_STR("from", peer));
    gnt_stream_close(stream);
    return true;
}

bool gnt_guessing_blocks(const struct gnt_mqtt_connection *c)
{
    return is_blocked(c->front, c->stream);
}

static void log_block(const struct gnt_mqtt_connection *c, uint64_t block_ns)
{
    char peer[64], name[GNT_NAME_SIZE];
    gnt_stream_peer(c->stream, peer, sizeof peer);
    gnt_log_limited(GNT_LOG_WARNING, gnt_connection_name(c, name), "block address",
                    GNT_F_STR("from", peer), GNT_F_STR("reason", "too many failed logins"),
                    GNT_F_NUM("seconds", block_ns / GNT_NS_PER_S));
}

uint64_t gnt_guessing_failed(struct gnt_mqtt_connection *c)
{
    struct gnt_guess *guess = c->front->shared->guess;
    uint64_t now = c->front->loop->now, delay = 0;
    gnt_count(gnt_connection_counters(c), GNT_COUNT_LOGINS_FAILED, 1);
    if (!guess)
        return 0;
    struct gnt_guess_source source = source_of(c->stream);
    if (gnt_guess_failed(guess, &source, now, &delay))
        log_block(c, gnt_guess_blocked(guess, &source, now));
    return delay;
}
