/* What may be said about a queue: one row for each option.  The struct, its defaults, the
 * configuration, the admin API, what the store keeps and the documentation all come from these. */
#ifndef GNT_MODEL_QUEUE_OPTIONS_H
#define GNT_MODEL_QUEUE_OPTIONS_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>

/* What becomes of what is sent to a full queue. */
#define GNT_QUEUE_OVERFLOWS(X)                                                      \
    X(BLOCK, "block")   /* senders get no more credit; what is under way is kept */ \
    X(REJECT, "reject") /* it is refused */                                         \
    X(DROP_OLDEST, "drop_oldest")

/* Which messages are safe before they are accepted, and outlive the process. */
#define GNT_QUEUE_DURABLES(X)                                           \
    X(AS_SENT, "as_sent") /* those that say so; of MQTT, QoS 1 and 2 */ \
    X(ALWAYS, "always")                                                 \
    X(NEVER, "never") /* not even the queue itself */

enum gnt_queue_overflow {
#define GNT_QUEUE_ENUM(name, word) GNT_QUEUE_##name,
    GNT_QUEUE_OVERFLOWS(GNT_QUEUE_ENUM)
};
enum gnt_queue_durable {
    GNT_QUEUE_DURABLES(GNT_QUEUE_ENUM)
#undef GNT_QUEUE_ENUM
};

enum gnt_queue_option_kind {
    GNT_QUEUE_OPTION_COUNT,
    GNT_QUEUE_OPTION_SIZE,     /* bytes */
    GNT_QUEUE_OPTION_DURATION, /* milliseconds */
    GNT_QUEUE_OPTION_FLAG,
    GNT_QUEUE_OPTION_OVERFLOW, /* a word; the first one is the default */
    GNT_QUEUE_OPTION_DURABLE,  /* likewise */
};

/*    field  name  kind  default  min  max  unit  help
 * Rows are only ever appended: their places are in the store. */
#define GNT_QUEUE_OPTIONS(X)                                                                      \
    X(lock_ms, "lock", DURATION, 0, 0, 86400000, "",                                              \
      "How long a receiver may keep a message unsettled before it is given to somebody else. 0: " \
      "as long as its link lives.")                                                               \
    X(max_deliveries, "max_deliveries", COUNT, 10, 0, 1000000, "deliveries",                      \
      "After how many failed deliveries a message goes to the dead-letter queue. 0: never.")      \
    X(ttl_ms, "ttl", DURATION, 0, 0, UINT64_C(315360000000), "",                                  \
      "How long a message lives at most, whatever it says itself. 0: as long as it says.")        \
    X(dead_letter_on_expiry, "dead_letter_on_expiry", FLAG, 0, 0, 1, "",                          \
      "Whether what expires goes to the dead-letter queue; else it is dropped.")                  \
    X(max_messages, "max_messages", COUNT, 0, 0, UINT64_C(1000000000000), "messages",             \
      "How many messages the queue holds before overflow applies. 0: no limit.")                  \
    X(max_bytes, "max_bytes", SIZE, 1073741824, 0, UINT64_C(1) << 50, "",                         \
      "How many bytes of messages the queue holds before overflow applies. 0: no limit.")         \
    X(overflow, "overflow", OVERFLOW, GNT_QUEUE_BLOCK, 0, GNT_QUEUE_DROP_OLDEST, "",              \
      "What becomes of messages sent to a full queue. block: senders get no more credit, and "    \
      "MQTT publishers wait for their acknowledgement. reject: they are refused. drop_oldest: "   \
      "they take the place of those that have waited longest.")                                   \
    X(priority, "priority", FLAG, 1, 0, 1, "",                                                    \
      "Whether messages of a higher priority go first; else all go in order.")                    \
    X(groups, "groups", FLAG, 0, 0, 1, "",                                                        \
      "Whether messages with the same group id go to one receiver as long as that has any of "    \
      "them unsettled.")                                                                          \
    X(durable, "durable", DURABLE, GNT_QUEUE_AS_SENT, 0, GNT_QUEUE_NEVER, "",                     \
      "Which messages are kept over a restart, and accepted only when they are safe. as_sent: "   \
      "those that say so. never: not even the queue itself is kept.")                             \
    X(auto_delete_ms, "auto_delete", DURATION, 0, 0, UINT64_C(315360000000), "",                  \
      "After how long without receivers, or anything sent, the queue is deleted. 0: never.")

/* Numbers, all of them: flags are 0 and 1, words the values of their enums. */
struct gnt_queue_options {
#define GNT_QUEUE_FIELD(field, name, kind, fallback, min, max, unit, help) uint64_t field;
    GNT_QUEUE_OPTIONS(GNT_QUEUE_FIELD)
#undef GNT_QUEUE_FIELD
};

struct gnt_queue_option {
    const char *name;
    enum gnt_queue_option_kind kind;
    uint64_t fallback, min, max;
    const char *unit, *help;
};

enum {
#define GNT_QUEUE_ROW(field, name, kind, fallback, min, max, unit, help) +1
    GNT_QUEUE_OPTION_ROWS = 0 GNT_QUEUE_OPTIONS(GNT_QUEUE_ROW)
#undef GNT_QUEUE_ROW
};

extern const struct gnt_queue_option gnt_queue_option_rows[GNT_QUEUE_OPTION_ROWS];

struct gnt_queue_options gnt_queue_options_default(void);

/* The value of ROW in *options, and another one there: GNT_INVALID if it is out of range. */
uint64_t gnt_queue_options_get(const struct gnt_queue_options *options, size_t row);
GNT_MUST gnt_err gnt_queue_options_set(struct gnt_queue_options *options, size_t row,
                                       uint64_t value);

/* The row of the option NAME; GNT_QUEUE_OPTION_ROWS if there is none. */
size_t gnt_queue_option_named(struct gnt_slice name);

/* The value of ROW for people, such as "60s", "1GiB", "block": the longest has room in OUT. */
enum { GNT_QUEUE_OPTION_TEXT = 32 };
const char *gnt_queue_option_text(size_t row, uint64_t value, char out[GNT_QUEUE_OPTION_TEXT]);

#endif
