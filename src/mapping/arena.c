#include "mapping/arena.h"

#include <stdint.h>
#include <stdlib.h>

enum { ALIGNMENT = 16, CHUNK = 4096 };

struct gnt_arena_chunk {
    struct gnt_arena_chunk *next;
    size_t size;
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

void *gnt_arena_get(struct gnt_arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!a->chunks || a->left < size) {
        const size_t room = size > CHUNK ? size : CHUNK;
        struct gnt_arena_chunk *chunk = malloc(sizeof *chunk + room);
        if (!chunk)
            return NULL;
        *chunk = (struct gnt_arena_chunk){.next = a->chunks, .size = room};
        a->chunks = chunk;
        a->left = room;
    }
    void *at = a->chunks->bytes + (a->chunks->size - a->left);
    a->left -= size;
    return at;
}

void gnt_arena_fini(struct gnt_arena *a)
{
    for (struct gnt_arena_chunk *chunk = a->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    *a = (struct gnt_arena){0};
}
