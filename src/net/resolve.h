/* Host names to addresses without blocking a loop: getaddrinfo on a thread of its own. */
#ifndef GNT_NET_RESOLVE_H
#define GNT_NET_RESOLVE_H

#include "base/err.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>

/* Looks HOST ("localhost", "192.0.2.1", "::1") up; it is copied.  DONE is called once, from the
 * resolving thread: post it to your loop.  LIST is DONE's to free with freeaddrinfo; NULL with an
 * error (GNT_RESOLVE: no such name).  On failure here DONE is not called.
 *
 * There is no way to take it back, because getaddrinfo has none: CONTEXT must stay until DONE.
 * The thread is detached; a process that ends does not wait for it, and DONE may then never come.
 */
GNT_MUST gnt_err gnt_resolve_start(const char *host, uint16_t port,
                                   void (*done)(void *context, gnt_err err, struct addrinfo *list),
                                   void *context);

/* The same at once, for start-up and for threads that may wait.  PASSIVE: addresses to listen on;
 * HOST may then be NULL or empty, which means all. */
GNT_MUST gnt_err gnt_resolve(const char *host, uint16_t port, bool passive, struct addrinfo **list);

#endif
