#include "core/publish.h"
#include "core/ledger.h"

static gnt_err find_route(struct gnt_home *home, struct gnt_slice topic, struct gnt_route **out,
                          bool *owned)
{
    return gnt_routes_find(&home->routes, home->tree, home->index, topic, out, owned);
}

void gnt_publish_ahead(struct gnt_home *home, const struct gnt_slice *topics, unsigned count)
{
    gnt_routes_ahead(&home->routes, home->tree, home->index, topics, count);
}

static void deliver_to(struct gnt_home *home, const struct gnt_target *t,
                       struct gnt_message *message, struct gnt_receipt *receipt)
{
    bool own = t->sink == message->publisher;
    if (own && !t->echoes)
        return;
    struct gnt_sink *sink = gnt_slots_find(&home->slots, t->sink);
    if (sink)
        sink->ops->take(sink, message, own ? &t->others : &t->match, receipt);
}

/* Sinks do not publish from `take` and do not change the tree, so the route stands meanwhile. */
static void deliver_here(struct gnt_home *home, const struct gnt_route *route,
                         struct gnt_message *message, struct gnt_receipt *receipt)
{
    for (size_t i = 0; i < route->count; i++)
        deliver_to(home, &route->targets[i], message, receipt);
}

/* ---- By mail
 *
 * A message's mail says in `value` whether its publisher could have waited.  Where it is for one
 * subscription, `other` is the sink, and `value` has the options, packed, and of the generation in
 * which they were found what there is room for. */

enum { GIVEN_BIT = 32, GENERATION_SHIFT = 33 };

static uint64_t label(uint64_t generation, bool given, const struct gnt_sub_options *options)
{
    return generation << GENERATION_SHIFT | (uint64_t)given << GIVEN_BIT |
           gnt_tree_options_pack(options);
}

/* Whether the tree is as it was when the route of this mail was found: too many changes to be taken
 * for none do not happen while it is on its way. */
static bool stands(const struct gnt_home *home, const struct gnt_mail *mail)
{
    uint64_t differs = gnt_tree_generation(home->tree) ^ mail->value >> GENERATION_SHIFT;
    return mail->other && differs << GENERATION_SHIFT == 0;
}

/* At another home than the publisher's. */
static void deliver_mailed(struct gnt_home *home, struct gnt_message *message,
                           struct gnt_receipt *receipt)
{
    struct gnt_route *route;
    bool owned;
    if (find_route(home, message->topic, &route, &owned)) {
        gnt_ledger_pass(home, NULL, GNT_COUNT_DROPPED_NO_MEMORY);
        return;
    }
    deliver_here(home, route, message, receipt);
    if (owned)
        gnt_route_free(route);
}

static void on_mailed(const struct gnt_mail *mail)
{
    struct gnt_message *message = mail->object;
    bool given = mail->value >> GIVEN_BIT & 1;
    struct gnt_receipt *receipt = given ? &gnt_receipt_given : NULL;
    if (stands(mail->to, mail)) {
        struct gnt_sub_options options = gnt_tree_options_unpack((uint32_t)mail->value);
        struct gnt_target t = gnt_target_one(mail->other, &options);
        deliver_to(mail->to, &t, message, receipt);
    } else {
        deliver_mailed(mail->to, message, receipt);
    }
    gnt_message_unref(&message);
}

/* Whoever can wait need not, unless the home TO says that somebody's queue is full; what is on its
 * way when that happens is taken in. */
static gnt_err mail(struct gnt_home *home, unsigned to, const struct gnt_elsewhere *elsewhere,
                    struct gnt_message *message, struct gnt_receipt *receipt)
{
    if (receipt && atomic_load_explicit(&home->homes[to].full, memory_order_relaxed))
        return gnt_slip_mail(home, to, message, receipt, deliver_mailed);
    struct gnt_message *ref = gnt_message_ref(message);
    uint64_t value = label(home->routes.generation, receipt != NULL, &elsewhere->options);
    gnt_err err = gnt_home_mail(home, to, on_mailed, ref, value, elsewhere->sink);
    if (err)
        gnt_message_unref(&ref);
    return err;
}

/* What failed on its way to some is counted, unless its publisher sends it again. */
static enum gnt_outcome failed(struct gnt_home *home, const struct gnt_message *message,
                               const struct gnt_receipt *receipt)
{
    if (!receipt || message->qos == 0)
        gnt_ledger_pass(home, NULL, GNT_COUNT_DROPPED_NO_MEMORY);
    return GNT_FAILED;
}

static enum gnt_outcome deliver_elsewhere(struct gnt_home *home,
                                          const struct gnt_elsewhere *elsewhere,
                                          struct gnt_message *message, struct gnt_receipt *receipt)
{
    enum gnt_outcome outcome = GNT_DONE;
    for (uint64_t homes = elsewhere->homes; homes; homes &= homes - 1)
        if (mail(home, (unsigned)__builtin_ctzll(homes), elsewhere, message, receipt))
            outcome = failed(home, message, receipt);
    return outcome;
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

enum gnt_outcome gnt_publish(struct gnt_home *home, struct gnt_message *message,
                             struct gnt_receipt *receipt)
{
    if (message->retain) {
        enum gnt_outcome retained = retain(home, message);
        if (retained != GNT_DONE)
            return retained == GNT_FAILED ? failed(home, message, receipt) : retained;
    }
    struct gnt_route *route;
    bool owned;
    if (find_route(home, message->topic, &route, &owned))
        return failed(home, message, receipt);
    enum gnt_outcome outcome =
        route->count || route->elsewhere.homes ? GNT_DONE : GNT_DONE_NO_MATCH;
    deliver_here(home, route, message, receipt);
    if (deliver_elsewhere(home, &route->elsewhere, message, receipt) == GNT_FAILED)
        outcome = GNT_FAILED;
    if (owned)
        gnt_route_free(route);
    if (!receipt || !receipt->outstanding)
        return outcome;
    receipt->outcome = outcome;
    return GNT_WITHHELD;
}
