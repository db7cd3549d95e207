#include "front/amqp/verdict.h"

const struct gnt_verdict gnt_verdict_no_memory = {false, GNT_AMQP_NO_CONDITION, NULL};

static const struct gnt_verdict of_queues[] = {
    [GNT_QUEUE_DONE] = {.accepted = true},
    [GNT_QUEUE_NOT_FOUND] = {false, GNT_AMQP_NOT_FOUND, "no such queue"},
    [GNT_QUEUE_BAD_NAME] = {false, GNT_AMQP_NOT_FOUND, "not a name of a queue"},
    [GNT_QUEUE_LIMIT] = {false, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, "too many queues"},
    [GNT_QUEUE_FULL] = {false, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, "the queue is full"},
    [GNT_QUEUE_TOO_LARGE] = {false, GNT_AMQP_LINK_MESSAGE_SIZE_EXCEEDED,
                             "larger than the queue may be"},
    [GNT_QUEUE_NO_MEMORY] = {false, GNT_AMQP_NO_CONDITION, NULL},
    [GNT_QUEUE_NO_STORE] = {false, GNT_AMQP_NO_CONDITION, NULL},
    [GNT_QUEUE_READ_ONLY] = {false, GNT_AMQP_NOT_ALLOWED,
                             "dead letters can only be received and browsed"},
};

static const struct gnt_verdict of_topics[] = {
    [GNT_DONE] = {.accepted = true},
    [GNT_DONE_NO_MATCH] = {.accepted = true},
    [GNT_FAILED] = {false, GNT_AMQP_NO_CONDITION, NULL},
    [GNT_NO_ROOM] = {false, GNT_AMQP_NO_CONDITION, NULL},
    [GNT_TOPIC_INVALID] = {false, GNT_AMQP_INVALID_FIELD, "not a topic name"},
    [GNT_NOT_ALLOWED] = {false, GNT_AMQP_UNAUTHORIZED_ACCESS, "not permitted"},
    [GNT_QUOTA] = {false, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, "a queue is full"},
};

static const struct gnt_verdict too_late = {false, GNT_AMQP_TRANSACTION_ROLLBACK,
                                            "the transaction cannot be committed any more"};
static const struct gnt_verdict too_much = {false, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
                                            "as much is in transactions as may be"};

const struct gnt_verdict *gnt_verdict_of_queue(enum gnt_queue_result result)
{
    size_t rows = sizeof of_queues / sizeof of_queues[0];
    return result < rows ? &of_queues[result] : &gnt_verdict_no_memory;
}

const struct gnt_verdict *gnt_verdict_of_topic(enum gnt_outcome outcome)
{
    return &of_topics[outcome];
}

const struct gnt_verdict *gnt_verdict_of_post(gnt_err err)
{
    switch ((int)err) {
    case GNT_OK: return &of_queues[GNT_QUEUE_DONE];
    case GNT_FULL: return &too_much;
    case GNT_STATE: return &too_late;
    default: return &gnt_verdict_no_memory;
    }
}

struct gnt_slice gnt_verdict_state(const struct gnt_verdict *verdict,
                                   uint8_t bytes[GNT_LINK_STATE_SIZE])
{
    if (verdict->condition)
        return gnt_link_rejected(verdict->condition, verdict->text, bytes);
    return gnt_amqp_fieldless(verdict->accepted ? GNT_AMQP_ACCEPTED : GNT_AMQP_RELEASED).encoded;
}
