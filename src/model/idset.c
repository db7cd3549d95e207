#include "model/idset.h"

#include <stdlib.h>
#include <string.h>

enum { PAGES = 16, PAGE_IDS = 4096, PAGE_WORDS = PAGE_IDS / 64 };

static size_t page_of(uint16_t id)
{
    return id / PAGE_IDS;
}

static size_t word_of(uint16_t id)
{
    return id % PAGE_IDS / 64;
}

static uint64_t bit_of(uint16_t id)
{
    return UINT64_C(1) << (id % 64);
}

void gnt_idset_fini(struct gnt_idset *s)
{
    for (size_t i = 0; s->pages && i < PAGES; i++)
        free(s->pages[i]);
    free(s->pages);
    *s = (struct gnt_idset){0};
}

static bool page_empty(const uint64_t *page)
{
    uint64_t any = 0;
    for (size_t i = 0; i < PAGE_WORDS; i++)
        any |= page[i];
    return any == 0;
}

/* A page without ids.  Peers count their ids upwards, so the page that they have left behind is
 * usually empty: it moves, and a session never holds more pages than it once had in use. */
static uint64_t *blank_page(struct gnt_idset *s)
{
    for (size_t i = 0; i < PAGES; i++) {
        if (s->pages[i] && page_empty(s->pages[i])) {
            uint64_t *page = s->pages[i];
            s->pages[i] = NULL;
            return page;
        }
    }
    return calloc(PAGE_WORDS, sizeof(uint64_t));
}

gnt_err gnt_idset_add(struct gnt_idset *s, uint16_t id)
{
    if (id == 0)
        return GNT_INVALID;
    if (!s->pages)
        s->pages = calloc(PAGES, sizeof *s->pages);
    if (!s->pages)
        return GNT_NOMEM;
    uint64_t **page = &s->pages[page_of(id)];
    if (!*page)
        *page = blank_page(s);
    if (!*page)
        return GNT_NOMEM;
    uint64_t *word = &(*page)[word_of(id)];
    s->count += (*word & bit_of(id)) == 0;
    *word |= bit_of(id);
    return GNT_OK;
}

bool gnt_idset_has(const struct gnt_idset *s, uint16_t id)
{
    const uint64_t *page = s->pages ? s->pages[page_of(id)] : NULL;
    return page && (page[word_of(id)] & bit_of(id));
}

bool gnt_idset_remove(struct gnt_idset *s, uint16_t id)
{
    if (!gnt_idset_has(s, id))
        return false;
    s->pages[page_of(id)][word_of(id)] &= ~bit_of(id);
    s->count--;
    return true;
}

uint16_t gnt_idset_next(const struct gnt_idset *s, uint16_t from)
{
    uint64_t mask = ~(bit_of(from) - 1); /* in the first word, only from FROM on */
    size_t word = word_of(from);
    for (size_t page = page_of(from); s->pages && page < PAGES; page++, word = 0) {
        if (!s->pages[page]) {
            mask = UINT64_MAX;
            continue;
        }
        for (; word < PAGE_WORDS; word++, mask = UINT64_MAX) {
            uint64_t bits = s->pages[page][word] & mask;
            if (bits)
                return (uint16_t)(page * PAGE_IDS + word * 64 + (size_t)__builtin_ctzll(bits));
        }
    }
    return 0;
}
