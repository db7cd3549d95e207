/* Any bytes as one AMQP value.  What is valid can be read to its leaves, and put together again
 * from them, each in its smallest form, it is the same value and no longer; that encoding is then
 * its own.  What is not valid is walked as far as it goes. */
#include "fuzz.h"

#include "../support/amqp_value.h"

/* Walks as deep as a caller would who trusts nothing; returns whether all of it could be read. */
static bool walk(struct gnt_amqp_value value, unsigned depth)
{
    struct gnt_amqp_items items = gnt_amqp_items(&value);
    struct gnt_amqp_value item, inner;
    bool good = true;
    if (depth > GNT_AMQP_DEPTH_MAX)
        return false;
    while (gnt_amqp_items_next(&items, &item))
        good &= walk(item, depth + 1);
    if (value.type == GNT_AMQP_DESCRIBED)
        good &= gnt_amqp_described(&value, &item, &inner) && walk(item, depth + 1) &&
                walk(inner, depth + 1);
    struct gnt_amqp_items symbols = gnt_amqp_symbols(&value);
    struct gnt_slice symbol;
    while (gnt_amqp_next_symbol(&symbols, &symbol))
        GNT_ASSERT(symbol.size <= value.encoded.size + value.bytes.size);
    (void)gnt_amqp_find(&value, gnt_slice_str("a"), &item);
    return good && !items.in.bad;
}

static void check_rebuilt(struct gnt_slice encoded)
{
    struct gnt_slice smallest = gnt_test_amqp_smallest(encoded);
    struct gnt_slice again = gnt_test_amqp_smallest(smallest);
    char *first = gnt_test_amqp_tell(encoded), *second = gnt_test_amqp_tell(smallest);
    /* An array of three bytes may have come without its constructor. */
    GNT_ASSERT(smallest.size <= encoded.size + encoded.size / 3);
    GNT_ASSERT(gnt_amqp_valid(smallest));
    GNT_ASSERT(strcmp(first, second) == 0);
    GNT_ASSERT(gnt_slice_eq(smallest, again));
    free(first);
    free(second);
    gnt_test_amqp_free(smallest);
    gnt_test_amqp_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct gnt_slice encoded = gnt_slice(data, size);
    struct gnt_reader in = gnt_reader(encoded), skipping = in;
    struct gnt_amqp_value value;
    gnt_amqp_read(&in, &value);
    gnt_amqp_skip(&skipping);
    GNT_ASSERT(in.bad || (!skipping.bad && in.at == skipping.at));
    const bool whole = gnt_amqp_parse(encoded, &value) == GNT_OK;
    GNT_ASSERT(whole == (!in.bad && gnt_read_left(&in) == 0));
    const bool walked = whole && walk(value, 0);
    const bool valid = gnt_amqp_valid(encoded);
    GNT_ASSERT(!valid || walked);
    if (valid)
        check_rebuilt(encoded);
    else
        free(gnt_test_amqp_tell(encoded));
    return 0;
}
