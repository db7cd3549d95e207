/* The PROXY protocol, versions 1 and 2 [PROXY, HAProxy's proxy-protocol.txt]: what a proxy says,
 * before anything else, about the connection that it passes on. */
#ifndef GNT_NET_PROXY_H
#define GNT_NET_PROXY_H

#include "base/err.h"
#include "base/slice.h"

#include <sys/socket.h>

/* Of version 2, with all that a proxy may add; version 1 has 107 at most [PROXY 2.1]. */
enum { GNT_PROXY_HEADER_MAX = 4096 };

struct gnt_proxy_header {
    size_t size;
    /* As of gnt_stream_address; an IPv4 address that is told as an IPv6 one is an IPv4 one.
     * AF_UNSPEC: the connection is the proxy's own, such as a check of its health, or the proxy
     * does not say whose it is. */
    struct sockaddr_storage client;
};

/* Looks at the front of IN for a header; *out is filled on GNT_OK only.
 *   GNT_MORE       so far it is one.
 *   GNT_PROTOCOL   it does not begin as one does.
 *   GNT_MALFORMED  it does, but is not right; or its checksum is not.
 *   GNT_TOOBIG     version 1 without an end in its 107 bytes, or version 2 beyond
 *                  GNT_PROXY_HEADER_MAX
 * What was not GNT_MORE stays as it is, however much follows. */
GNT_MUST gnt_err gnt_proxy_read(struct gnt_slice in, struct gnt_proxy_header *out);

/* Why there is no header, for people: "malformed PROXY header". */
const char *gnt_proxy_text(gnt_err err);

#endif
