#include "front/base/lobby.h"

#include "auth/guess.h"
#include "base/log.h"

/* ---- How many */

bool gnt_lobby_within_rate(struct gnt_lobby *lobby, uint32_t rate, uint64_t now)
{
    if (rate == 0)
        return true;
    uint64_t part = GNT_NS_PER_S / rate;
    _Atomic uint64_t *until = &lobby->connects_until;
    uint64_t taken = atomic_load_explicit(until, memory_order_relaxed), from;
    do {
        from = taken > now ? taken : now;
        if (from + part > now + GNT_NS_PER_S)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(until, &taken, from + part,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* ---- Guessing */

static struct gnt_guess_source source_of(const struct gnt_visitor *v)
{
    struct sockaddr_storage address;
    gnt_stream_address(v->stream, &address);
    return gnt_guess_source((const struct sockaddr *)&address);
}

/* For how long nothing is looked at that comes from the visitor's address. */
static uint64_t blocked_ns(const struct gnt_visitor *v)
{
    if (!v->lobby->guess)
        return 0;
    struct gnt_guess_source source = source_of(v);
    return gnt_guess_blocked(v->lobby->guess, &source, v->loop->now);
}

bool gnt_lobby_blocks(const struct gnt_visitor *v)
{
    return blocked_ns(v) != 0;
}

bool gnt_lobby_turns_away(const struct gnt_visitor *v, struct gnt_stream **stream)
{
    char peer[64];
    if (!gnt_lobby_blocks(v))
        return false;
    gnt_count(v->counters, GNT_COUNT_CONNECTIONS_ACCEPTED, 1);
    gnt_count(v->counters, GNT_COUNT_CONNECTIONS_REFUSED, 1);
    gnt_count(v->counters, GNT_COUNT_BLOCKED, 1);
    gnt_stream_peer(v->stream, peer, sizeof peer);
    gnt_log_limited(GNT_LOG_INFO, v->name, "turn away connection",
                    GNT_F_STR("reason", "passwords were guessed from there"),
                    GNT_F_STR("from", peer));
    gnt_stream_close(stream);
    return true;
}

static void log_failure(const struct gnt_visitor *v, struct gnt_slice user, const char *why)
{
    char peer[64];
    if (!gnt_log_enabled(GNT_LOG_INFO))
        return;
    gnt_stream_peer(v->stream, peer, sizeof peer);
    if (why)
        gnt_log_limited(GNT_LOG_INFO, v->name, "login failed", GNT_F_TEXT("user", user),
                        GNT_F_STR("from", peer), GNT_F_STR("reason", why));
    else
        gnt_log_limited(GNT_LOG_INFO, v->name, "login failed", GNT_F_TEXT("user", user),
                        GNT_F_STR("from", peer));
}

static void log_block(const struct gnt_visitor *v)
{
    char peer[64];
    gnt_stream_peer(v->stream, peer, sizeof peer);
    gnt_log_limited(GNT_LOG_WARNING, v->name, "block address", GNT_F_STR("from", peer),
                    GNT_F_STR("reason", "too many failed logins"),
                    GNT_F_NUM("seconds", blocked_ns(v) / GNT_NS_PER_S));
}

uint64_t gnt_lobby_failed(const struct gnt_visitor *v, struct gnt_slice user, const char *why)
{
    uint64_t delay_ns = 0;
    log_failure(v, user, why);
    gnt_count(v->counters, GNT_COUNT_LOGINS_FAILED, 1);
    if (!v->lobby->guess)
        return 0;
    struct gnt_guess_source source = source_of(v);
    if (gnt_guess_failed(v->lobby->guess, &source, v->loop->now, &delay_ns))
        log_block(v);
    return delay_ns;
}

/* ---- The program is told */

bool gnt_lobby_tells(const struct gnt_lobby *lobby)
{
    return lobby->hooks && (lobby->hooks->came || lobby->hooks->went);
}

void gnt_lobby_came(const struct gnt_visitor *v, struct gnt_guest guest)
{
    const struct gnt_hooks *hooks = v->lobby->hooks;
    char address[64];
    if (!hooks || !hooks->came)
        return;
    gnt_stream_peer(v->stream, address, sizeof address);
    guest.address = address;
    hooks->came(hooks->context, &guest);
}

void gnt_lobby_went(const struct gnt_visitor *v, struct gnt_guest guest, const char *why)
{
    const struct gnt_hooks *hooks = v->lobby->hooks;
    char address[64];
    if (!hooks || !hooks->went)
        return;
    gnt_stream_peer(v->stream, address, sizeof address);
    guest.address = address;
    hooks->went(hooks->context, &guest, why);
}
