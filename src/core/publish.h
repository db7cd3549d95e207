/* A message to everybody it is for.
 *
 * A message for sinks elsewhere is mailed once to each home, which looks up its own; so a fan-out
 * is shared out among the workers, and mail stays small. */
#ifndef GNT_CORE_PUBLISH_H
#define GNT_CORE_PUBLISH_H

#include "core/home.h"
#include "model/outcome.h"

/* Retains MESSAGE if it says so, and hands it to every sink that matches, here and elsewhere.
 * MESSAGE is lent.
 *   GNT_DONE, GNT_DONE_NO_MATCH
 *   GNT_FAILED  out of memory before the message was safe with everyone; it may have reached some
 */
enum gnt_outcome gnt_publish(struct gnt_home *home, struct gnt_message *message);

#endif
