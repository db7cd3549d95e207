/* Error conditions [AMQP 2.8.15 to 2.8.18, 4.5.8], one row each. */
#ifndef GNT_AMQP_CODEC_CONDITION_H
#define GNT_AMQP_CODEC_CONDITION_H

#include "base/slice.h"

/* clang-format off */
/*    NAME                             symbol on the wire */
#define GNT_AMQP_CONDITIONS(X) \
    X(INTERNAL_ERROR,                  "amqp:internal-error") \
    X(NOT_FOUND,                       "amqp:not-found") \
    X(UNAUTHORIZED_ACCESS,             "amqp:unauthorized-access") \
    X(DECODE_ERROR,                    "amqp:decode-error") \
    X(RESOURCE_LIMIT_EXCEEDED,         "amqp:resource-limit-exceeded") \
    X(NOT_ALLOWED,                     "amqp:not-allowed") \
    X(INVALID_FIELD,                   "amqp:invalid-field") \
    X(NOT_IMPLEMENTED,                 "amqp:not-implemented") \
    X(RESOURCE_LOCKED,                 "amqp:resource-locked") \
    X(PRECONDITION_FAILED,             "amqp:precondition-failed") \
    X(RESOURCE_DELETED,                "amqp:resource-deleted") \
    X(ILLEGAL_STATE,                   "amqp:illegal-state") \
    X(FRAME_SIZE_TOO_SMALL,            "amqp:frame-size-too-small") \
    X(CONNECTION_FORCED,               "amqp:connection:forced") \
    X(CONNECTION_FRAMING_ERROR,        "amqp:connection:framing-error") \
    X(CONNECTION_REDIRECT,             "amqp:connection:redirect") \
    X(SESSION_WINDOW_VIOLATION,        "amqp:session:window-violation") \
    X(SESSION_ERRANT_LINK,             "amqp:session:errant-link") \
    X(SESSION_HANDLE_IN_USE,           "amqp:session:handle-in-use") \
    X(SESSION_UNATTACHED_HANDLE,       "amqp:session:unattached-handle") \
    X(LINK_DETACH_FORCED,              "amqp:link:detach-forced") \
    X(LINK_TRANSFER_LIMIT_EXCEEDED,    "amqp:link:transfer-limit-exceeded") \
    X(LINK_MESSAGE_SIZE_EXCEEDED,      "amqp:link:message-size-exceeded") \
    X(LINK_REDIRECT,                   "amqp:link:redirect") \
    X(LINK_STOLEN,                     "amqp:link:stolen") \
    X(TRANSACTION_UNKNOWN_ID,          "amqp:transaction:unknown-id") \
    X(TRANSACTION_ROLLBACK,            "amqp:transaction:rollback") \
    X(TRANSACTION_TIMEOUT,             "amqp:transaction:timeout")
/* clang-format on */

enum gnt_amqp_condition {
    GNT_AMQP_NO_CONDITION, /* none, or one that the standard does not have */
#define GNT_AMQP_CONDITION_ENUM(name, symbol) GNT_AMQP_##name,
    GNT_AMQP_CONDITIONS(GNT_AMQP_CONDITION_ENUM)
#undef GNT_AMQP_CONDITION_ENUM
        GNT_AMQP_CONDITION_COUNT
};

/* The symbol; empty for GNT_AMQP_NO_CONDITION.  Lives for ever. */
struct gnt_slice gnt_amqp_condition_symbol(enum gnt_amqp_condition condition);

/* GNT_AMQP_NO_CONDITION for a symbol that is not in the table. */
enum gnt_amqp_condition gnt_amqp_condition_of(struct gnt_slice symbol);

#endif
