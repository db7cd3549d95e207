/* NAME=VALUE and NAME:TYPE=VALUE on the command line: entries of the maps in an AMQP message.
 *
 * Without a TYPE it is a string; else TYPE is behind the last colon of the name, and one of
 * boolean, ubyte, ushort, uint, ulong, byte, short, int, long, float, double, timestamp
 * (milliseconds since 1970), uuid, binary (in hex), string, symbol and null. */
#ifndef GNT_CLI_ENTRY_H
#define GNT_CLI_ENTRY_H

#include "base/buf.h"
#include "conf/option.h"

#include <gnatter/amqp_types.h>

enum { GNT_ENTRY_NAME_MAX = 255 };

struct gnt_entry {
    char name[GNT_ENTRY_NAME_MAX + 1];
    struct gnatter_amqp_value value; /* borrows from the text, and from: */
    struct gnt_buf bytes;            /* what binary and uuid stand for */
};

/* The `check` of a row. */
GNT_MUST gnt_err gnt_entry_check(const char *text, struct gnt_why *why);

/* TEXT, which has passed that, into *out, to gnt_entry_fini().  GNT_INVALID, GNT_NOMEM: there is
 * nothing to end. */
GNT_MUST gnt_err gnt_entry_read(const char *text, struct gnt_entry *out, struct gnt_why *why);
void gnt_entry_fini(struct gnt_entry *entry);

#endif
