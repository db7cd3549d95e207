/* The rows of one rule of `access`, struct gnt_config_rule.  conf takes them as they are written;
 * whoever makes the list checks them, and has the line for telling what is wrong. */
#ifndef GNT_CONF_ACCESS_RULES_H
#define GNT_CONF_ACCESS_RULES_H

#include "conf/option.h"

enum { GNT_CONFIG_RULES_MAX = 4096 };

extern const struct gnt_option_table gnt_config_rule_table;

#endif
