/* The rows of one queue of the configuration, for the files of this room only; most of them are
 * those of model/queue_options.h. */
#ifndef GNT_CONF_QUEUES_H
#define GNT_CONF_QUEUES_H

#include "conf/option.h"

/* Of struct gnt_config_queue. */
extern const struct gnt_option_table gnt_config_queue_table;

#endif
