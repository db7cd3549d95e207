/* The rows of one listener of the configuration, for the files of this room only. */
#ifndef GNT_CONF_LISTENERS_H
#define GNT_CONF_LISTENERS_H

#include "conf/option.h"

/* Of struct gnt_config_listener. */
extern const struct gnt_option_table gnt_listener_table;

#endif
