/* Any bytes as a property section.  The first byte chooses the kind of packet.  A section that
 * decodes can be walked, and written again from its walked properties it is byte for byte the same.
 */
#include "fuzz.h"

#include "../support/mqtt_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const uint32_t where = 1u << (1 + data[0] % 16);
    struct gnt_reader r = gnt_reader(gnt_slice(data + 1, size - 1));
    struct gnt_mqtt_props props;
    uint8_t reason;
    gnt_err err = gnt_mqtt_props_decode(&r, where, &props, &reason);
    GNT_ASSERT((err == GNT_OK) == (reason == GNT_REASON_SUCCESS));
    if (err != GNT_OK)
        return 0;
    GNT_ASSERT(!r.bad);

    struct gnt_mqtt_prop *list = calloc(props.raw.size + 1, sizeof *list);
    GNT_ASSERT(list != NULL);
    struct gnt_slice raw = props.raw;
    size_t count = 0;
    uint32_t seen = 0;
    while (gnt_mqtt_prop_next(&raw, &list[count]))
        seen |= 1u << list[count++].row;
    GNT_ASSERT(raw.size == 0 && seen == props.present);

    const struct gnt_mqtt_proplist again = {list, count, {NULL, 0}};
    size_t section = gnt_mqtt_proplist_size(&again);
    GNT_ASSERT(section == (size_t)(r.at - (data + 1)));
    uint8_t *bytes = malloc(section);
    GNT_ASSERT(bytes != NULL && gnt_mqtt_proplist_write(bytes, &again) == bytes + section);
    GNT_ASSERT(memcmp(bytes, data + 1, section) == 0);
    free(bytes);
    free(list);
    return 0;
}
