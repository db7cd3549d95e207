#include "support/store_contract.h"
#include "support/store_world.h"

static struct store_world world;
static bool made;
static uint64_t interval_ns;

/* With real time, and memtables so small that the applier is always at work. */
static gnt_err open_world(struct gnt_store **out)
{
    if (made)
        store_world_fini(&world);
    store_world_init(&world, 1);
    made = true;
    world.options.stepped = false;
    world.options.clock = &gnt_clock_system;
    world.options.memory_max = 4 << 10;
    world.options.sync_interval_ns = interval_ns;
    gnt_err err = store_world_open(&world);
    *out = world.store;
    world.store = NULL;
    return err;
}

int main(void)
{
    static const struct store_under_test durable = {.name = "durable", .open = open_world};
    int failed = store_contract(&durable);
    failed += store_contract_threads(&durable);
    interval_ns = 10 * GNT_NS_PER_MS;
    failed += store_contract_threads(&durable);
    store_world_fini(&world);
    return failed;
}
