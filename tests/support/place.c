#include "support/place.h"

#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>

int place_setup(void **state)
{
    static struct place p;
    snprintf(p.base, sizeof p.base, "/tmp/gnatter-test-XXXXXX");
    assert_non_null(mkdtemp(p.base));
    snprintf(p.path, sizeof p.path, "%s/data", p.base);
    *state = &p;
    return 0;
}

int place_teardown(void **state)
{
    const struct place *p = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", p->base);
    return system(command);
}
