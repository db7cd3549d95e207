/* The access list of a broker (auth/access.h): `access` and `access_file` of its configuration. */
#ifndef GNT_BROKER_ACCESS_H
#define GNT_BROKER_ACCESS_H

#include "auth/access.h"
#include "conf/config.h"

/* Makes the list that CONFIG describes, sealed; *out NULL: it describes none, and everything is
 * permitted.  Any thread.
 *   GNT_INVALID  there are mistakes, or the file cannot be read; PROBLEM says in a line for people
 *                what is wrong, and of several mistakes the log has all
 *   GNT_NOMEM */
GNT_MUST gnt_err gnt_access_read(const struct gnt_config *config, struct gnt_access **out,
                                 char *problem, size_t cap);

#endif
