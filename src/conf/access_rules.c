#include "conf/access_rules.h"
#include "conf/config.h"

#define FIELD(member) GNT_OPTION_FIELD(struct gnt_config_rule, member)

static const struct gnt_option rows[] = {
    {.path = "who",
     .kind = GNT_OPTION_STRING,
     FIELD(who),
     .min = 1,
     .metavar = "NAME",
     .help = "Whom the rule is about: a user name, in which * stands for any text; anonymous: "
             "clients without a user name. Left out: everybody."},
    {.path = "may",
     .kind = GNT_OPTION_STRINGS,
     FIELD(may),
     .min = 1,
     .help = "What it permits: publish, subscribe, receive; for AMQP send, listen, manage. A rule "
             "has either this or may_not."},
    {.path = "may_not",
     .kind = GNT_OPTION_STRINGS,
     FIELD(may_not),
     .min = 1,
     .help = "What it denies, in the same words, whatever others permit."},
    {.path = "on",
     .kind = GNT_OPTION_STRING,
     FIELD(on),
     .min = 1,
     .max = 65535,
     .required = true,
     .metavar = "FILTER",
     .help = "A topic filter, or for send, listen and manage names of queues written like one, in "
             "which ${client} stands for the client's id and ${user} for its user name."},
};

const struct gnt_option_table gnt_config_rule_table = {
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
    .size = sizeof(struct gnt_config_rule),
    .line = offsetof(struct gnt_config_rule, line),
};
