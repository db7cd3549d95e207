/* The certificates that a program chooses for the hosts that clients mean (gnatter_tls_choose),
 * read once, and again when one of their files has changed: an event loop has no time to read and
 * unlock them for each client.
 *
 * Ownership  one owner.
 * Threads    any may make a choice; reading a file holds up those who choose meanwhile. */
#ifndef GNT_BROKER_TLS_CHOICE_H
#define GNT_BROKER_TLS_CHOICE_H

#include "callback/tls.h"

struct gnt_tls_choices;

enum { GNT_TLS_CHOICES_MAX = 64 }; /* that are remembered; the one that was read first goes */

/* PROGRAM stays, and has `choose`. */
GNT_MUST gnt_err gnt_tls_choices_new(const struct gnt_callback_tls *program,
                                     struct gnt_tls_choices **out);
void gnt_tls_choices_free(struct gnt_tls_choices **choices); /* NULL is fine */

/* As gnt_tls_choose.  What cannot be read is logged. */
GNT_MUST gnt_err gnt_tls_choices_make(struct gnt_tls_choices *choices, const char *host,
                                      struct gnt_identity *out);

#endif
