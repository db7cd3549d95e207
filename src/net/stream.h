/* A byte stream between two peers: tcp; tls and websocket as streams on a stream; a test pair and
 * the simulation's wires stand in for all of them.
 *
 * Ownership  whoever opened or accepted a stream closes it; `close` frees it.
 * Threads    a stream belongs to one loop at a time and is touched by that loop's thread only.
 * Readiness  is remembered in `events`, edge-like: READABLE stays set until a read has found
 *            nothing more, WRITABLE until a write took less than it was given.  A stream whose
 *            owner wants one of the events that are set lies in the loop's ready list, and the loop
 *            calls on_ready once a turn until that is no longer so.  Nothing is lost by not reading
 *            for a while, nor by reading only a part.
 * The end    of a stream, and its failure, make it READABLE (and WRITABLE, if writing is over too)
 *            and leave it so: the owner hears of it from the next read, and closes it or stops
 *            wanting to read. */
#ifndef GNT_NET_STREAM_H
#define GNT_NET_STREAM_H

#include "base/err.h"
#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct gnt_loop;
struct gnt_stream;
struct sockaddr_storage; /* <sys/socket.h> */

enum { GNT_READABLE = 1, GNT_WRITABLE = 2 };

/* The most pieces that one writev takes; what is over is left for the next. */
enum { GNT_STREAM_IOV_MAX = 64 };

/* How a kind of stream does it.  An implementation calls gnt_stream_notify when something becomes
 * possible.  It may clear READABLE by itself where it knows that nothing more is there, which saves
 * its owner a read; all other bookkeeping is done around these functions. */
struct gnt_stream_ops {
    /* *n > 0 bytes read.  GNT_MORE: nothing there now.  GNT_CLOSED: the peer has ended or reset it.
     * GNT_IO and others: broken.  CAP is not 0. */
    gnt_err (*read)(struct gnt_stream *s, void *to, size_t cap, size_t *n);
    /* Like writev(2); *n may be less than all.  GNT_MORE: not a byte fitted. */
    gnt_err (*writev)(struct gnt_stream *s, const struct iovec *iov, int count, size_t *n);
    /* No more will be written; the peer sees the end after what was written. */
    void (*finish)(struct gnt_stream *s);
    /* Out of its loop and freed; what was written is still delivered where the network allows. */
    void (*close)(struct gnt_stream *s);
    /* Out of its loop (LOOP NULL), which cannot fail, or, when it is in none, into LOOP; called on
     * the thread that has it.  s->loop is still the old one, and is set afterwards. */
    gnt_err (*move)(struct gnt_stream *s, struct gnt_loop *loop);
    /* Of a stream that stands on none: the peer's address for people, "127.0.0.1:50412"; and as
     * gnt_stream_address has it, NULL: it is never known. */
    void (*peer)(const struct gnt_stream *s, char *out, size_t cap);
    void (*address)(const struct gnt_stream *s, struct sockaddr_storage *out);
    /* How much of what was written the peer has not taken yet, as far as that can be told; may be
     * NULL. */
    size_t (*untaken)(const struct gnt_stream *s);
    /* The stream that it stands on; NULL: on none. */
    const struct gnt_stream *(*below)(const struct gnt_stream *s);
};

struct gnt_stream {
    const struct gnt_stream_ops *ops;
    struct gnt_loop *loop; /* NULL while it moves */
    struct gnt_list ready; /* in loop->ready */
    void (*on_ready)(struct gnt_stream *s);
    void *owner;
    uint8_t events; /* what is possible now: GNT_READABLE, GNT_WRITABLE */
    uint8_t want;   /* what the owner would do if it were possible */
    bool carries;   /* `owner` is a stream that stands on this one: gnt_stream_stand_on */
};

/* For implementations: a stream in LOOP with nothing possible, nothing wanted and no owner. */
void gnt_stream_init(struct gnt_stream *s, const struct gnt_stream_ops *ops, struct gnt_loop *loop);

/* Called by the owner: which events it wants to hear of from now on.  on_ready must be set before
 * anything is wanted. */
void gnt_stream_want(struct gnt_stream *s, uint8_t want);

/* Called by implementations and loops: EVENTS have become possible.  Runs nothing of the owner's.
 */
void gnt_stream_notify(struct gnt_stream *s, uint8_t events);

/* For streams on a stream: UPPER, whose implementation owns LOWER, stands on it from now on.  What
 * is possible with LOWER, and becomes so, is possible with UPPER in the same moment, without a turn
 * in between; UPPER's read clears READABLE by itself when LOWER has lost it.  LOWER's on_ready is
 * for what UPPER has to do without its owner, and called while it wants something of LOWER. */
void gnt_stream_stand_on(struct gnt_stream *upper, struct gnt_stream *lower);

/* The ops, with the bookkeeping of `events`: use these, not the ops directly. */
GNT_MUST gnt_err gnt_stream_read(struct gnt_stream *s, void *to, size_t cap, size_t *n);
GNT_MUST gnt_err gnt_stream_writev(struct gnt_stream *s, const struct iovec *iov, int count,
                                   size_t *n);
void gnt_stream_finish(struct gnt_stream *s);

/* May be called from any callback of the loop, the stream's own on_ready included.  A peer that is
 * still sending may lose the last of what was written to it; who has to be sure calls
 * gnt_stream_finish and reads, and throws away, until the peer has ended too. */
void gnt_stream_close(struct gnt_stream **s); /* NULL is fine */

/* Hands a stream from loop to loop: _move(s, NULL) by the thread that has it, then _move(s, loop)
 * by the thread of LOOP.  What has not been read, `want` and `events` go with it.  The second step
 * can fail (GNT_NOMEM, GNT_IO), and leaves the stream in no loop then. */
GNT_MUST gnt_err gnt_stream_move(struct gnt_stream *s, struct gnt_loop *loop);

/* Who is at the other end, whatever stands on what: for people, and as an address.  AF_INET and
 * AF_INET6 come with the port; AF_UNIX, without a path, is somebody on a proxy's machine or this
 * one; AF_UNSPEC: it is not known. */
void gnt_stream_peer(const struct gnt_stream *s, char *out, size_t cap);
void gnt_stream_address(const struct gnt_stream *s, struct sockaddr_storage *out);

/* Whether a peer takes anything at all: this falls, or something can be written.  0 if it is not
 * known. */
size_t gnt_stream_untaken(const struct gnt_stream *s);

/* The stream that S stands on, lent; NULL: none. */
const struct gnt_stream *gnt_stream_below(const struct gnt_stream *s);

#endif
