#include "model/entity_name.h"

#include "base/utf8.h"
#include "model/address.h"

struct gnt_slice gnt_entity_fold(struct gnt_slice name, struct gnt_entity_folded *to)
{
    size_t size = name.size < sizeof to->bytes ? name.size : sizeof to->bytes;
    for (size_t i = 0; i < size; i++)
        to->bytes[i] = gnt_entity_fold_byte(name.data[i]);
    return gnt_slice(to->bytes, size);
}

bool gnt_entity_same(struct gnt_slice a, struct gnt_slice b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (gnt_entity_fold_byte(a.data[i]) != gnt_entity_fold_byte(b.data[i]))
            return false;
    return true;
}

bool gnt_entity_is_dead(struct gnt_slice name, struct gnt_slice *base)
{
    const struct gnt_slice suffix = gnt_slice_str("/" GNT_DEAD_LETTERS);
    *base = name;
    if (name.size <= suffix.size)
        return false;
    size_t size = name.size - suffix.size;
    if (!gnt_entity_same(gnt_slice_skip(name, size), suffix))
        return false;
    base->size = size;
    return true;
}

static bool has_control_character(struct gnt_slice name)
{
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] < ' ' || name.data[i] == 0x7f)
            return true;
    return false;
}

static bool has_scheme(struct gnt_slice name)
{
    for (; name.size >= 3; name = gnt_slice_skip(name, 1))
        if (memcmp(name.data, "://", 3) == 0)
            return true;
    return false;
}

/* Whether as an address it names the entity of this name. */
static bool names_itself(struct gnt_slice name)
{
    struct gnt_address address;
    return !gnt_address_parse(name, &address) && address.kind == GNT_ADDRESS_ENTITY &&
           !address.dead_letter && gnt_slice_eq(address.entity, name);
}

const char *gnt_entity_name_problem(struct gnt_slice name)
{
    if (!name.size || name.size > GNT_ENTITY_NAME_MAX)
        return "expected the name of a queue, of 1 to 260 bytes";
    if (!gnt_utf8_valid(name) || has_control_character(name))
        return "expected the name of a queue, in UTF-8 without control characters";
    if (name.data[0] == '$' || name.data[0] == '/' || has_scheme(name))
        return "expected the name of a queue: no address, and neither $ nor / in front";
    if (!names_itself(name))
        return "expected the name of a queue: behind a slash this means something else";
    return NULL;
}
