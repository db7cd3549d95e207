/* Limits against guessing passwords: failed logins are counted for each source address, an IPv4
 * address or an IPv6 network of 64 bits, which is what one household or one machine of a hoster
 * has.
 *
 * Within a window the first few failures cost nothing.  From then on the answer to each is held
 * back, twice as long each time; and after some more the address is blocked for a while: it is not
 * served, and what it says is not looked at.  Who has failed often is forgotten when the window, or
 * the block, has passed.  A login that succeeds changes nothing: else one good password would make
 * any number of guesses free.
 *
 * Loopback addresses are never blocked, only delayed: behind them may be a proxy with all the
 * clients there are (name it in the configuration, so that it tells their addresses), and nobody
 * who can lock out others there could not do worse.  Unix sockets have no address, and no limit.
 *
 * Memory is bounded: of more than GNT_GUESS_SOURCES addresses, the one whose last failure is the
 * longest ago is forgotten.  Who has that many addresses is not stopped by counting them.
 *
 * Ownership  one owner.
 * Threads    any: one table for all workers, since guesses go to all of them.  While nobody has
 * failed no lock is taken. Units      nanoseconds of the monotonic clock; NOW is handed in. */
#ifndef GNT_AUTH_GUESS_H
#define GNT_AUTH_GUESS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { GNT_GUESS_SOURCES = 1024 };

/* Where a client comes from; compares by its bytes. */
struct gnt_guess_source {
    uint8_t bytes[8]; /* of IPv4 four, then zeros */
    uint8_t family;   /* 4, 6; 0: none, which is not limited */
    bool loopback;
};

/* An IPv4 address that is written as IPv6 ("::ffff:192.0.2.1") is the IPv4 address. */
struct gnt_guess_source gnt_guess_source(const struct sockaddr *address);

struct gnt_guess_limits {
    uint32_t free;      /* failures within a window that are answered at once */
    uint32_t most;      /* failures within a window until the address is blocked; 0: never */
    uint64_t window_ns; /* from the first failure on */
    uint64_t delay_ns;  /* of the first answer that is held back; then twice that, and so on ... */
    uint64_t delay_most_ns; /* ... up to this */
    uint64_t block_ns;
};

struct gnt_guess;

GNT_MUST gnt_err gnt_guess_new(const struct gnt_guess_limits *limits, struct gnt_guess **out);
void gnt_guess_free(struct gnt_guess **guess); /* NULL is fine */

/* From now on; what has been counted stays.  Where nobody is blocked any more (`most` 0), nobody
 * who was stays so. */
void gnt_guess_limit(struct gnt_guess *guess, const struct gnt_guess_limits *limits);

/* How long the source is still blocked; 0: it is not.  To be asked when it connects, and before its
 * password is looked at. */
uint64_t gnt_guess_blocked(struct gnt_guess *guess, const struct gnt_guess_source *source,
                           uint64_t now);

/* A login has failed: counts it, and tells in *delay_ns how long to hold the answer back.  True:
 * this one has got the source blocked, which is worth a line in the log. */
bool gnt_guess_failed(struct gnt_guess *guess, const struct gnt_guess_source *source, uint64_t now,
                      uint64_t *delay_ns);

#endif
