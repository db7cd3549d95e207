#include "core/publish.h"

static gnt_err find_route(struct gnt_home *home, struct gnt_slice topic, struct gnt_route **out,
                          bool *owned)
{
    return gnt_routes_find(&home->routes, home->tree, home->index, topic, out, owned);
}

/* Sinks do not publish from `take` and do not change the tree, so the route stands meanwhile. */
static void deliver_here(struct gnt_home *home, const struct gnt_route *route,
                         struct gnt_message *message)
{
    for (size_t i = 0; i < route->count; i++) {
        const struct gnt_target *t = &route->targets[i];
        bool own = t->sink == message->publisher;
        if (own && !t->echoes)
            continue;
        struct gnt_sink *sink = gnt_slots_find(&home->slots, t->sink);
        if (sink)
            sink->ops->take(sink, message, own ? &t->others : &t->match);
    }
}

static void on_mailed(const struct gnt_mail *mail)
{
    struct gnt_home *home = mail->to;
    struct gnt_message *message = mail->object;
    struct gnt_route *route;
    bool owned;
    if (find_route(home, message->topic, &route, &owned)) {
        gnt_count(&home->counters, GNT_COUNT_DROPPED_NO_MEMORY, 1);
    } else {
        deliver_here(home, route, message);
        if (owned)
            gnt_route_free(route);
    }
    gnt_message_unref(&message);
}

static gnt_err deliver_elsewhere(struct gnt_home *home, uint64_t homes, struct gnt_message *message)
{
    gnt_err result = GNT_OK;
    for (; homes; homes &= homes - 1) {
        unsigned to = (unsigned)__builtin_ctzll(homes);
        struct gnt_message *ref = gnt_message_ref(message);
        gnt_err err = gnt_home_mail(home, to, on_mailed, ref, 0, 0);
        if (err) {
            gnt_message_unref(&ref);
            gnt_count(&home->counters, GNT_COUNT_DROPPED_NO_MEMORY, 1);
            result = err;
        }
    }
    return result;
}

/* A publication that cannot be retained goes nowhere: its sender is told that it was refused. */
static enum gnt_outcome retain(struct gnt_home *home, struct gnt_message *message)
{
    int change;
    gnt_err err = gnt_tree_retain(home->tree, message, home->config.retained_max, &change);
    if (err == GNT_FULL)
        gnt_count(&home->counters, GNT_COUNT_RETAIN_REFUSED, 1);
    else if (!err)
        gnt_count(&home->counters, GNT_COUNT_RETAINED, change);
    return !err ? GNT_DONE : err == GNT_FULL ? GNT_QUOTA : GNT_FAILED;
}

enum gnt_outcome gnt_publish(struct gnt_home *home, struct gnt_message *message)
{
    if (message->retain) {
        enum gnt_outcome retained = retain(home, message);
        if (retained != GNT_DONE)
            return retained;
    }
    struct gnt_route *route;
    bool owned;
    if (find_route(home, message->topic, &route, &owned))
        return GNT_FAILED;
    enum gnt_outcome outcome = route->count || route->elsewhere ? GNT_DONE : GNT_DONE_NO_MATCH;
    deliver_here(home, route, message);
    if (deliver_elsewhere(home, route->elsewhere, message))
        outcome = GNT_FAILED;
    if (owned)
        gnt_route_free(route);
    return outcome;
}
