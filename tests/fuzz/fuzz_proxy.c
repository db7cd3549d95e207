/* What a proxy sends first.  The first byte says whether a checksum in it is put right. */
#include "fuzz.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "net/proxy.h"

#include <netinet/in.h>
#include <stdlib.h>

enum { MOST = GNT_PROXY_HEADER_MAX + 256, FIXED = 16, V4 = 12, V6 = 36, PATHS = 216 };

/* A copy of exactly that size, so that a read past its end is seen. */
static gnt_err read_copy(struct gnt_slice in, struct gnt_proxy_header *out)
{
    uint8_t *copy = malloc(in.size ? in.size : 1);
    GNT_ASSERT(copy != NULL);
    if (in.size)
        memcpy(copy, in.data, in.size);
    gnt_err err = gnt_proxy_read(gnt_slice(copy, in.size), out);
    free(copy);
    return err;
}

/* The first checksum of a header of version 2 becomes the right one. */
static void put_checksum_right(uint8_t *bytes, size_t size)
{
    size_t addresses = size > 13 ? bytes[13] == 0x11 ? V4 : bytes[13] == 0x21 ? V6 : PATHS : 0;
    size_t end = size >= FIXED ? FIXED + (size_t)(bytes[14] << 8 | bytes[15]) : 0;
    for (size_t at = FIXED + addresses; at + 3 <= end && end <= size;) {
        size_t length = (size_t)(bytes[at + 1] << 8 | bytes[at + 2]);
        if (bytes[at] == 3 && length == 4 && at + 7 <= end) {
            memset(bytes + at + 3, 0, 4);
            uint32_t sum = gnt_crc32c_portable(0, gnt_slice(bytes, end));
            for (size_t i = 0; i < 4; i++)
                bytes[at + 3 + i] = (uint8_t)(sum >> (24 - 8 * i));
            return;
        }
        at += 3 + length;
    }
}

static bool same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* The address is one that a header of ours would tell the same way. */
static void check_client(const struct sockaddr_storage *client)
{
    uint8_t bytes[FIXED + V6] = "\r\n\r\n\0\r\nQUIT\n\x21";
    size_t size = FIXED + V4;
    struct gnt_proxy_header again;
    if (client->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)client;
        bytes[13] = 0x11;
        memcpy(bytes + FIXED, &v4->sin_addr, 4);
        memcpy(bytes + FIXED + 8, &v4->sin_port, 2);
    } else if (client->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)client;
        bytes[13] = 0x21;
        size = FIXED + V6;
        memcpy(bytes + FIXED, &v6->sin6_addr, 16);
        memcpy(bytes + FIXED + 32, &v6->sin6_port, 2);
    } else {
        static const struct sockaddr_storage unknown = {.ss_family = AF_UNSPEC};
        static const struct sockaddr_storage local = {.ss_family = AF_UNIX};
        GNT_ASSERT(same(client, &unknown) || same(client, &local));
        return;
    }
    bytes[15] = (uint8_t)(size - FIXED);
    GNT_ASSERT(gnt_proxy_read(gnt_slice(bytes, size), &again) == GNT_OK);
    GNT_ASSERT(again.size == size && same(client, &again.client));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[MOST];
    struct gnt_proxy_header whole, part;
    if (size < 1 || size - 1 > MOST)
        return 0;
    memcpy(bytes, data + 1, --size);
    if (data[0] & 1)
        put_checksum_right(bytes, size);
    gnt_err result = read_copy(gnt_slice(bytes, size), &whole);
    if (result == GNT_OK) {
        GNT_ASSERT(whole.size <= size && whole.size <= GNT_PROXY_HEADER_MAX);
        check_client(&whole.client);
    }
    /* However it is cut, it is the same; where it becomes clear what it is, it is so for good. */
    gnt_err before = GNT_MORE;
    for (size_t cut = 0; cut <= size; cut += cut < 256 ? 1 : 61) {
        gnt_err err = read_copy(gnt_slice(bytes, cut), &part);
        GNT_ASSERT(before == GNT_MORE || err == before);
        if (err == GNT_OK)
            GNT_ASSERT(part.size == whole.size && cut >= part.size &&
                       same(&part.client, &whole.client));
        before = err;
    }
    GNT_ASSERT(before == GNT_MORE || before == result);
    return 0;
}
