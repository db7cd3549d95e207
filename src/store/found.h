/* What a read has found, on its way to the reader: references to records, handed over one by one
 * when the read completes, with no lock of the engine's held. */
#ifndef GNT_STORE_FOUND_H
#define GNT_STORE_FOUND_H

#include "store/memtable.h"

/* Makes room for MOST records in R's completion, which hands them over.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_found_begin(struct gnt_store_read *r, uint32_t most);

/* Adds RECORD with a reference of its own; false: there were MOST already. */
bool gnt_found_add(struct gnt_store_read *r, struct gnt_record *record);

/* Forgets all that was found: the read has failed. */
void gnt_found_drop(struct gnt_store_read *r);

#endif
