/* Networks of addresses, as configurations name them: "10.0.0.0/8", "::1", or "unix" for whoever
 * comes by a Unix socket.  Plain values; any thread. */
#ifndef GNT_BASE_NETWORK_H
#define GNT_BASE_NETWORK_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct gnt_network {
    sa_family_t family;
    uint8_t bits;      /* how many of `bytes` its addresses have in common */
    uint8_t bytes[16]; /* the first 4 are an IPv4 network's; those beyond `bits` are 0 */
};

struct gnt_networks {
    struct gnt_network *items;
    size_t count;
};

/* Reads ADDRESS, ADDRESS/BITS or "unix".  GNT_INVALID: *problem, a constant, tells what is wrong,
 * for people. */
GNT_MUST gnt_err gnt_network_parse(const char *text, struct gnt_network *out, const char **problem);

/* Whether ADDRESS is of one of them.  Its port does not matter. */
bool gnt_networks_have(const struct gnt_networks *networks, const struct sockaddr *address);

#endif
