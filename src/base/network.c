#include "base/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

/* The families that have networks. */
static const struct kind {
    sa_family_t family;
    uint8_t bits;
    size_t at; /* where a socket's address has the bytes */
} kinds[] = {
    {AF_INET, 32, offsetof(struct sockaddr_in, sin_addr)},
    {AF_INET6, 128, offsetof(struct sockaddr_in6, sin6_addr)},
    {AF_UNIX, 0, 0},
};

static const struct kind *kind_of(sa_family_t family)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].family == family)
            return &kinds[i];
    return NULL;
}

/* Of the byte that has bit BITS: those in front of it. */
static uint8_t mask_of(unsigned bits)
{
    return (uint8_t)(0xff00u >> bits % 8);
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    return !memcmp(a, b, bits / 8) &&
           (bits % 8 == 0 || !((a[bits / 8] ^ b[bits / 8]) & mask_of(bits)));
}

static bool ends_at(const struct gnt_network *n)
{
    static const uint8_t none[16];
    size_t whole = n->bits / 8;
    if (n->bits % 8 && (n->bytes[whole] & (uint8_t)~mask_of(n->bits)))
        return false;
    whole += n->bits % 8 != 0;
    return !memcmp(n->bytes + whole, none, sizeof n->bytes - whole);
}

/* 0 to MOST, without sign or leading zeros. */
static bool parse_bits(const char *text, uint8_t most, uint8_t *out)
{
    unsigned bits = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 3 || text[digits] || (digits > 1 && *text == '0'))
        return false;
    for (; *text; text++)
        bits = bits * 10 + (unsigned)(*text - '0');
    *out = (uint8_t)bits;
    return bits <= most;
}

gnt_err gnt_network_parse(const char *text, struct gnt_network *out, const char **problem)
{
    char address[INET6_ADDRSTRLEN];
    size_t size = strcspn(text, "/");
    struct gnt_network n = {.family = AF_UNIX};
    if (strcmp(text, "unix") == 0) {
        *out = n;
        return GNT_OK;
    }
    *problem = "expected an address, a network such as 10.0.0.0/8 or fd00::/8, or unix";
    if (size >= sizeof address)
        return GNT_INVALID;
    memcpy(address, text, size);
    address[size] = '\0';
    n.family = strchr(address, ':') ? AF_INET6 : AF_INET;
    n.bits = kind_of(n.family)->bits;
    if (inet_pton(n.family, address, n.bytes) != 1)
        return GNT_INVALID;
    if (text[size] && !parse_bits(text + size + 1, n.bits, &n.bits)) {
        *problem = n.family == AF_INET ? "expected 0 to 32 bits behind the /"
                                       : "expected 0 to 128 bits behind the /";
        return GNT_INVALID;
    }
    /* Perhaps the address is meant and perhaps the network, and one is much more than the other. */
    if (!ends_at(&n)) {
        *problem = "the address goes on behind its network's bits: leave out the /, or put zeros";
        return GNT_INVALID;
    }
    *out = n;
    return GNT_OK;
}

bool gnt_networks_have(const struct gnt_networks *networks, const struct sockaddr *address)
{
    const struct kind *kind = kind_of(address->sa_family);
    for (size_t i = 0; kind && i < networks->count; i++) {
        const struct gnt_network *n = &networks->items[i];
        if (n->family == kind->family &&
            same_bits(n->bytes, (const uint8_t *)address + kind->at, n->bits))
            return true;
    }
    return false;
}
