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

struct gnt_idset_pages {
    uint32_t count; /* of ids, not 0 between calls */
    uint64_t *page[PAGES];
};

void gnt_idset_fini(struct gnt_idset *s)
{
    for (size_t i = 0; s->pages && i < PAGES; i++)
        free(s->pages->page[i]);
    free(s->pages);
    s->pages = NULL;
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
static uint64_t *blank_page(struct gnt_idset_pages *p)
{
    for (size_t i = 0; i < PAGES; i++) {
        if (p->page[i] && page_empty(p->page[i])) {
            uint64_t *page = p->page[i];
            p->page[i] = NULL;
            return page;
        }
    }
    return calloc(PAGE_WORDS, sizeof(uint64_t));
}

/* The word of ID, there if memory is; NULL else. */
static uint64_t *make_word(struct gnt_idset *s, uint16_t id)
{
    if (!s->pages)
        s->pages = calloc(1, sizeof *s->pages);
    if (!s->pages)
        return NULL;
    uint64_t **page = &s->pages->page[page_of(id)];
    if (!*page)
        *page = blank_page(s->pages);
    return *page ? &(*page)[word_of(id)] : NULL;
}

gnt_err gnt_idset_add(struct gnt_idset *s, uint16_t id)
{
    if (id == 0)
        return GNT_INVALID;
    uint64_t *word = make_word(s, id);
    if (!word) {
        if (gnt_idset_count(s) == 0)
            gnt_idset_fini(s);
        return GNT_NOMEM;
    }
    s->pages->count += (*word & bit_of(id)) == 0;
    *word |= bit_of(id);
    return GNT_OK;
}

uint32_t gnt_idset_count(const struct gnt_idset *s)
{
    return s->pages ? s->pages->count : 0;
}

bool gnt_idset_has(const struct gnt_idset *s, uint16_t id)
{
    const uint64_t *page = s->pages ? s->pages->page[page_of(id)] : NULL;
    return page && (page[word_of(id)] & bit_of(id));
}

bool gnt_idset_remove(struct gnt_idset *s, uint16_t id)
{
    if (!gnt_idset_has(s, id))
        return false;
    s->pages->page[page_of(id)][word_of(id)] &= ~bit_of(id);
    if (--s->pages->count == 0)
        gnt_idset_fini(s);
    return true;
}

uint16_t gnt_idset_next(const struct gnt_idset *s, uint16_t from)
{
    uint64_t mask = ~(bit_of(from) - 1); /* in the first word, only from FROM on */
    size_t word = word_of(from);
    for (size_t page = page_of(from); s->pages && page < PAGES; page++, word = 0) {
        const uint64_t *words = s->pages->page[page];
        if (!words) {
            mask = UINT64_MAX;
            continue;
        }
        for (; word < PAGE_WORDS; word++, mask = UINT64_MAX) {
            uint64_t bits = words[word] & mask;
            if (bits)
                return (uint16_t)(page * PAGE_IDS + word * 64 + (size_t)__builtin_ctzll(bits));
        }
    }
    return 0;
}
