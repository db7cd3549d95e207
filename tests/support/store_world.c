#include "support/store_world.h"

#include "base/assert.h"

static uint64_t now_ns(void *self)
{
    return ((struct store_world *)self)->now_ns;
}

static uint64_t wall_ms(void *self)
{
    return ((struct store_world *)self)->wall_ms;
}

void store_world_init(struct store_world *w, uint64_t seed)
{
    *w = (struct store_world){
        .disk = sim_disk_new(),
        .soil = sim_soil_new(),
        .now_ns = GNT_NS_PER_S,
        .wall_ms = UINT64_C(1700000000000),
    };
    GNT_ASSERT(w->disk && w->soil);
    gnt_seeded_init(&w->random, seed);
    w->clock = (struct gnt_clock){now_ns, wall_ms, w};
    w->options = (struct gnt_durable_options){
        .time = &w->time,
        .clock = &w->clock,
        .random = &w->random.door,
        .memory_max = 8 << 10,
        .journal_max = 64 << 10,
        .segment_size = 16 << 10,
        .reserve_size = 16 << 10,
        .stepped = true,
    };
}

gnt_err store_world_open(struct store_world *w)
{
    w->options.disk = sim_disk_door(w->disk);
    gnt_err err = sim_ground_open(w->soil, &w->time, &w->options.ground);
    if (err)
        return err;
    err = gnt_durable_open(&w->options, &w->report, &w->store);
    if (err)
        w->options.ground->ops->close(w->options.ground);
    return err;
}

void store_world_pass(struct store_world *w, uint64_t ns)
{
    w->now_ns += ns;
    w->wall_ms += ns / GNT_NS_PER_MS;
}

void store_world_work(struct store_world *w)
{
    while (gnt_durable_turn(w->store) || gnt_durable_apply(w->store)) {
    }
}

void store_world_crash(struct store_world *w, uint64_t seed)
{
    if (!sim_disk_is_cut(w->disk))
        sim_disk_cut(w->disk, seed);
    sim_ground_crash(w->soil);
    gnt_store_close(&w->store);
    sim_disk_restart(w->disk);
    sim_disk_fail(w->disk, 0, 0, GNT_OK);
    sim_ground_fail_at(w->soil, -1, GNT_OK, false);
    sim_ground_crash_at(w->soil, -1, false);
}

void store_world_fini(struct store_world *w)
{
    gnt_store_close(&w->store);
    sim_soil_free(w->soil);
    sim_disk_free(w->disk);
}
