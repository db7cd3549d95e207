/* Who may log in: a file with a line for each user,
 *
 *     name:$scrypt$ln=15,r=8,p=1$<salt>$<hash>
 *
 * or another kind of verifier behind the name (verifier.h), mosquitto_passwd's among them.  Empty
 * lines and lines that begin with # mean nothing.  A name is 1 to 255 bytes of UTF-8 without
 * control characters and colons, and without # in front.  `gnatter passwd` writes the file.
 *
 * A set is read once and never changes, so that any number of threads may use it; to reload is to
 * read another set.
 *
 * Ownership  counted: whoever has a reference lets it go by gnt_users_unref.
 * Threads    any. */
#ifndef GNT_AUTH_USERS_H
#define GNT_AUTH_USERS_H

#include "auth/lines.h"
#include "auth/verifier.h"

struct gnt_users;

/* A line that is not as it should be is told, and skipped.
 *   GNT_NOTFOUND, GNT_DENIED, GNT_IO  FILE cannot be read; errno says why
 *   GNT_MALFORMED                     it has lines, and none of them is a user
 *   GNT_NOMEM
 * BEFORE is the set that is replaced, NULL the first time: the salts of users that do not exist
 * stay as they were. */
GNT_MUST gnt_err gnt_users_load(const char *file, const struct gnt_users *before,
                                const struct gnt_random *random, gnt_lines_report *report,
                                void *context, struct gnt_users **out);

struct gnt_users *gnt_users_ref(struct gnt_users *users);
void gnt_users_unref(struct gnt_users **users); /* NULL is fine */

size_t gnt_users_count(const struct gnt_users *users);

/* Fills *out with what NAME's password is checked by.  False: there is no such user, and *out is
 * made up, the same each time while the process lives: it takes as long to check as that of a user
 * of the kind that most have, so that nobody learns who exists by asking. */
bool gnt_users_find(const struct gnt_users *users, struct gnt_slice name, struct gnt_verifier *out);

/* The same for who wants to log in by SCRAM with HASH.  False also where the user's verifier is of
 * another kind or for the other hash, with which that is not possible: such a user is answered like
 * one that does not exist.  Who does not exist has another salt for each hash, as users have. */
bool gnt_users_find_scram(const struct gnt_users *users, struct gnt_slice name,
                          enum gnt_scram_hash hash, struct gnt_scram_verifier *out);

/* Whether a server that names its methods does well to name SCRAM with HASH, as clients take the
 * best that they know of: somebody can log in by it, and whoever can by SCRAM at all. */
bool gnt_users_offer_scram(const struct gnt_users *users, enum gnt_scram_hash hash);

/* Whether everybody can log in by SCRAM. */
bool gnt_users_are_scram(const struct gnt_users *users);

/* Whether NAME can stand in the file. */
bool gnt_users_name_valid(struct gnt_slice name);

#endif
