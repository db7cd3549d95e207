#include "broker/limits.h"

#include <stdio.h>

static enum gnt_overflow overflow_of(enum gnt_config_queue_full queue_full)
{
    static const enum gnt_overflow policies[] = {
        [GNT_QUEUE_FULL_DROP_NEWEST] = GNT_OVERFLOW_DROP_NEWEST,
        [GNT_QUEUE_FULL_DROP_OLDEST] = GNT_OVERFLOW_DROP_OLDEST,
        [GNT_QUEUE_FULL_DISCONNECT] = GNT_OVERFLOW_DISCONNECT,
    };
    return policies[queue_full];
}

/* A 32-bit machine has no use for limits beyond its memory. */
static size_t in_memory(uint64_t bytes)
{
    size_t size = (size_t)bytes;
    return size == bytes ? size : SIZE_MAX;
}

struct gnt_core_config gnt_limits_core(const struct gnt_config *c)
{
    return (struct gnt_core_config){
        .topic_levels = c->limits.topic_levels,
        .sessions_max = c->limits.sessions,
        .retained_max = c->limits.retained,
        .queues_max = c->limits.queues,
        .subscriptions_per_session = c->limits.subscriptions,
        .filter_reach = c->limits.filter_reach,
        .queued_per_session = c->limits.queued_per_session,
        .queued_bytes_per_session = in_memory(c->limits.queued_bytes),
        .queued_max = c->limits.queued_in_all,
        .queued_bytes_max = c->limits.queued_bytes_in_all,
        .inflight_per_session = c->limits.inflight_per_session,
        .session_expiry_max_s = c->limits.session_expiry_s,
        .overflow = overflow_of(c->queue_full),
        .hold_ms = c->queue_full_wait_ms,
        .auto_create = gnt_config_creates(c),
    };
}

static uint8_t without(const struct gnt_config_limits *l)
{
    unsigned missing = 0;
    missing |= l->retain_available ? 0u : GNT_MQTT_WITHOUT_RETAIN;
    missing |= l->wildcard_available ? 0u : GNT_MQTT_WITHOUT_WILDCARDS;
    missing |= l->shared_available ? 0u : GNT_MQTT_WITHOUT_SHARED;
    missing |= l->subscription_ids_available ? 0u : GNT_MQTT_WITHOUT_SUBSCRIPTION_IDS;
    return (uint8_t)missing;
}

static struct gnt_mqtt_moved moved(const struct gnt_config_moved *m)
{
    _Static_assert((int)GNT_CONFIG_REFERENCE_MAX == GNT_MQTT_REFERENCE_MAX, "one fits the other");
    struct gnt_mqtt_moved out = {.all = m->clients == GNT_MOVED_ALL, .permanent = m->permanent};
    if (m->to && strcmp(m->to, "none") != 0)
        snprintf(out.to, sizeof out.to, "%s", m->to);
    return out;
}

struct gnt_mqtt_limits gnt_limits_mqtt(const struct gnt_config *c)
{
    return (struct gnt_mqtt_limits){
        .engine = {.packet_max = c->limits.packet_bytes,
                   .receive_max = c->limits.receive_maximum,
                   .aliases_in = c->limits.topic_alias_maximum,
                   .aliases_out = c->limits.topic_alias_out,
                   .keep_alive_max_s = c->limits.keep_alive_max_s,
                   .topic_levels = c->limits.topic_levels,
                   .topic_max = c->limits.topic_bytes,
                   .props_max = c->limits.properties_bytes,
                   .connect_timeout_ms = c->limits.connect_timeout_ms,
                   .qos_max = c->limits.maximum_qos,
                   .without = without(&c->limits)},
        .connections_max = c->limits.connections,
        .connect_rate = c->limits.connect_rate,
        .write_timeout_ms = c->limits.write_timeout_ms,
        .client_id_max = c->limits.client_id_bytes,
        .moved = moved(&c->moved),
        .tell_dropped = c->tell_dropped,
        .qos0_waits = c->queue_full_qos0 == GNT_QOS0_WAIT,
        .output_max = in_memory(c->limits.output_bytes),
    };
}

struct gnt_amqp_limits gnt_limits_amqp(const struct gnt_config *c)
{
    return (struct gnt_amqp_limits){
        .frame_max = c->limits.frame_bytes,
        .message_max = c->limits.packet_bytes,
        .sessions = c->limits.amqp_sessions,
        .links = c->limits.amqp_links,
        .unsettled = c->limits.amqp_unsettled,
        .suspended = c->limits.amqp_suspended,
        .suspended_s = c->limits.amqp_suspended_ms / 1000,
        .idle_ms = c->limits.amqp_idle_ms,
        .transactions = c->limits.transactions,
        .transaction_parts = c->limits.transaction_parts,
        .transaction_bytes = in_memory(c->limits.transaction_bytes),
        .transaction_timeout_ms = c->limits.transaction_timeout_ms,
        .connections_max = c->limits.connections,
        .connect_rate = c->limits.connect_rate,
        .connect_timeout_ms = c->limits.connect_timeout_ms,
        .write_timeout_ms = c->limits.write_timeout_ms,
        .output_max = in_memory(c->limits.output_bytes),
    };
}

struct gnt_guess_limits gnt_limits_guess(const struct gnt_config_guessing *g)
{
    return (struct gnt_guess_limits){
        .free = g->delay_after,
        .most = g->block_after,
        .window_ns = g->window_ms * GNT_NS_PER_MS,
        .delay_ns = g->delay_ms * GNT_NS_PER_MS,
        .delay_most_ns = g->delay_max_ms * GNT_NS_PER_MS,
        .block_ns = g->block_ms * GNT_NS_PER_MS,
    };
}
