/* The option table as documentation. */
#ifndef GNT_CONF_REFERENCE_H
#define GNT_CONF_REFERENCE_H

#include "conf/option.h"

/* Appends a Markdown table of the rows with a path: name, values, default, flag, when a change
 * takes effect, meaning. */
GNT_MUST gnt_err gnt_reference_options(const struct gnt_option_table *table, struct gnt_buf *out);

/* Appends a Markdown table of the rows that only the command line has. */
GNT_MUST gnt_err gnt_reference_flags(const struct gnt_option_table *table, struct gnt_buf *out);

#endif
