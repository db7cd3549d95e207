#include "cli/place.h"

#include <gnatter/error.h>
#include <stdio.h>
#include <sysexits.h>

const char *gnt_place_text(const struct gnt_place *place, uint16_t port,
                           char out[GNT_PLACE_TEXT_MAX])
{
    if (place->url)
        (void)snprintf(out, GNT_PLACE_TEXT_MAX, "%s", place->url);
    else
        (void)snprintf(out, GNT_PLACE_TEXT_MAX, "%s port %u", place->host, port);
    return out;
}

static const struct gnt_place_failure common[] = {
    {GNATTER_ERESOLVE, false, EX_NOHOST, "host name not found", " Check the name (--host)."},
    {GNATTER_EREFUSED, false, EX_UNAVAILABLE, "refused by the peer",
     " Is a broker running there? Start one with: gnatter broker"},
    {GNATTER_ENOTFOUND, false, EX_UNAVAILABLE, "there is no such socket",
     " Is a broker running there?"},
    {GNATTER_ECLOSED, true, EX_UNAVAILABLE, "closed by the broker", ""},
    {GNATTER_ETIMEOUT, true, EX_UNAVAILABLE, "the broker has fallen silent", ""},
};

static const struct gnt_place_failure *find(const struct gnt_place_failure *rows, size_t count,
                                            int error, bool was_connected)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].error == error && rows[i].was_connected == was_connected)
            return &rows[i];
    return NULL;
}

const struct gnt_place_failure *gnt_place_failure(const struct gnt_place_failure *rows,
                                                  size_t count, int error, bool was_connected)
{
    const struct gnt_place_failure *found = find(rows, count, error, was_connected);
    return found ? found : find(common, sizeof common / sizeof common[0], error, was_connected);
}
