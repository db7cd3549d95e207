/* What the client libraries stand on: a transport of a program's own instead of TCP, and a look at
 * what passes over it. */
#ifndef GNATTER_TRANSPORT_H
#define GNATTER_TRANSPORT_H

#include <gnatter/export.h>

#include <stddef.h>
#include <stdint.h>

GNATTER_BEGIN

/* All functions are called on the client's thread, and none of them waits or calls a function of
 * the client.
 *   open   begins; READY(READY_CONTEXT) may be called from any thread from now on until close has
 *          returned, and must be called when reading or writing may succeed after GNATTER_MORE.
 *          If it is still connecting, let read and write say GNATTER_MORE.
 *   read   *n > 0 bytes into TO; GNATTER_MORE: nothing there now; GNATTER_ECLOSED: the end
 *   write  *n > 0 bytes of FROM, perhaps not all; GNATTER_MORE: no room now
 *   close  ends; after a successful open, once.  What was written should still be delivered.
 *   fd     may be NULL; else a file descriptor that can be polled, once open has succeeded: the
 *          client watches it, and READY need not be called. */
typedef void gnatter_ready(void *ready_context);

struct gnatter_transport {
    int (*open)(void *self, const char *host, uint16_t port, gnatter_ready *ready,
                void *ready_context);
    int (*read)(void *self, void *to, size_t cap, size_t *n);
    int (*write)(void *self, const void *from, size_t size, size_t *n);
    void (*close)(void *self);
    int (*fd)(void *self);
    void *self;
};

/* What a client and its peer say to each other, as bytes of their protocol; with TLS and over
 * WebSocket they are what is inside, passwords included.  OPENED comes without bytes, before the
 * first ones of each connection; the bytes are lent until it returns.  Called on the client's
 * thread, for each piece that was written or read; it must not wait, nor call a function of the
 * client. */
enum gnatter_trace { GNATTER_TRACE_OPENED, GNATTER_TRACE_SENT, GNATTER_TRACE_RECEIVED };
typedef void gnatter_on_trace(enum gnatter_trace what, const void *bytes, size_t size,
                              void *context);

GNATTER_END

#endif
