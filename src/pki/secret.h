/* Pass-phrases, from where they are kept: file:FILE (its first line), env:NAME, or pass:TEXT, which
 * is for where nobody else looks. */
#ifndef GNT_PKI_SECRET_H
#define GNT_PKI_SECRET_H

#include "pki/files.h"

/* Reads the pass-phrase that SOURCE names into OUT, which the caller wipes, on failure too.
 *   GNT_INVALID  SOURCE is none of these, or there is no such variable
 *   GNT_TOOBIG   it does not fit into CAP
 *   and those of gnt_files_read */
GNT_MUST gnt_err gnt_secret_read(const char *source, char *out, size_t cap,
                                 struct gnt_pki_why *why);

#endif
