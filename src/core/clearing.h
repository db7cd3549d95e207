/* What was much and is of no use any more is freed in parts, with everybody else's turn in between:
 * the end of a session with a million messages is not a pause for its neighbours. */
#ifndef GNT_CORE_CLEARING_H
#define GNT_CORE_CLEARING_H

#include "core/backlog.h"
#include "core/home.h"

/* So many are freed in one turn. */
enum { GNT_CLEARING_SLICE = 1024 };

/* Frees what is in B, which is empty afterwards; nothing of it is counted or kept any more. */
void gnt_clearing_backlog(struct gnt_home *home, struct gnt_backlog *b);

#endif
