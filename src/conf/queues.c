#include "conf/queues.h"
#include "conf/config.h"
#include "model/entity_name.h"
#include "model/topic.h"

#define FIELD(member) GNT_OPTION_FIELD(struct gnt_config_queue, member)

static const struct gnt_option_word flags[] = {
    {"true", 1}, {"yes", 1}, {"on", 1}, {"false", 0}, {"no", 0}, {"off", 0}, {NULL, 0},
};

#define WORD(name, word) {word, GNT_QUEUE_##name},
static const struct gnt_option_word overflows[] = {GNT_QUEUE_OVERFLOWS(WORD){NULL, 0}};
static const struct gnt_option_word durables[] = {GNT_QUEUE_DURABLES(WORD){NULL, 0}};
#undef WORD

static gnt_err check_name(const char *text, struct gnt_why *why)
{
    const char *problem = gnt_entity_name_problem(gnt_slice_str(text));
    if (problem)
        gnt_why_set(why, "%s", problem);
    return problem ? GNT_INVALID : GNT_OK;
}

static gnt_err check_filter(const char *text, struct gnt_why *why)
{
    struct gnt_slice filter = gnt_slice_str(text);
    if (gnt_topic_filter_valid(filter, 0) && !gnt_slice_starts(filter, gnt_slice_str("$share/")))
        return GNT_OK;
    gnt_why_set(why, "expected a topic filter such as orders/#");
    return GNT_INVALID;
}

/* What each kind of queue option is here. */
#define ROW_COUNT(fallback_)    .kind = GNT_OPTION_INTEGER, .fallback = #fallback_
#define ROW_SIZE(fallback_)     .kind = GNT_OPTION_SIZE, .fallback = #fallback_
#define ROW_DURATION(fallback_) .kind = GNT_OPTION_DURATION, .fallback = #fallback_
#define ROW_FLAG(fallback_) \
    .kind = GNT_OPTION_WORD, .words = flags, .fallback = (fallback_) ? "true" : "false"
#define ROW_OVERFLOW(fallback_) .kind = GNT_OPTION_WORD, .words = overflows, .fallback = "block"
#define ROW_DURABLE(fallback_)  .kind = GNT_OPTION_WORD, .words = durables, .fallback = "as_sent"
#define ROW(field_, name_, kind_, fallback_, min_, max_, unit_, help_) \
    {.path = (name_),                                                  \
     ROW_##kind_(fallback_),                                           \
     FIELD(options.field_),                                            \
     .min = (min_),                                                    \
     .max = (max_),                                                    \
     .unit = (unit_),                                                  \
     .help = (help_)},

static const struct gnt_option rows[] = {
    {.path = "name",
     .kind = GNT_OPTION_STRING,
     FIELD(name),
     .min = 1,
     .max = GNT_ENTITY_NAME_MAX,
     .check = check_name,
     .required = true,
     .metavar = "NAME",
     .help = "Its name, by which AMQP clients reach it."},
    {.path = "bind",
     .kind = GNT_OPTION_STRINGS,
     FIELD(bind),
     .check = check_filter,
     .metavar = "FILTER",
     .help = "Topic filters: what is published to what they match, over MQTT or AMQP, goes into "
             "the queue, too."},
    GNT_QUEUE_OPTIONS(ROW)};

const struct gnt_option_table gnt_config_queue_table =
    GNT_OPTION_TABLE(struct gnt_config_queue, rows);
