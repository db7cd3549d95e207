/* A client of the simulation that writes its own packets, and behaves badly: each of its
 * connections follows one of a few scripts. */
#ifndef SIM_RAW_H
#define SIM_RAW_H

#include "device.h"

enum sim_script {
    SIM_SCRIPT_SILENT,   /* opens a connection and says nothing */
    SIM_SCRIPT_GARBAGE,  /* bytes that are no packets, with or without a CONNECT before */
    SIM_SCRIPT_TORN,     /* closes in the middle of a packet */
    SIM_SCRIPT_DEAF,     /* subscribes to all and acknowledges nothing, and may not even read */
    SIM_SCRIPT_REPEATER, /* says each PUBLISH and each PUBREL several times */
    SIM_SCRIPT_HOARDER,  /* many messages of QoS 2 before the first PUBREL */
    SIM_SCRIPT_IMPOSTOR, /* takes a device's connection over, without harm to its session */
    SIM_SCRIPTS,
};

struct sim_raw {
    struct sim_world *world;
    struct sim_oracle *oracle;
    const struct sim_device *devices; /* for impostors */
    uint32_t device_count, index;
    char id[16];
    struct sim_wire *wire;
    struct gnt_timer turn;
    struct gnt_buf in, out;
    enum sim_script script;
    uint8_t version;
    bool connected, calm, reads;
    unsigned asked;       /* PUBLISHes */
    uint32_t flight[256]; /* what it has in flight, by packet id */
    uint64_t begin_at, end_at, act_at;
};

void sim_raw_init(struct sim_raw *r, struct sim_world *w, struct sim_oracle *o, uint32_t index,
                  const struct sim_device *devices, uint32_t device_count);
void sim_raw_fini(struct sim_raw *r);

/* Comes a last time to end its session. */
void sim_raw_calm(struct sim_raw *r);

/* One that comes once, with another's ID, to end its session; done when it has left. */
void sim_raw_end_session(struct sim_raw *r, struct sim_world *w, struct sim_oracle *o,
                         const char *id);
bool sim_raw_left(const struct sim_raw *r);

#endif
