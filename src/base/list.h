/* A doubly linked list of nodes that live inside what they link.  A node is in at most one list; a
 * node that is in none links to itself, so unlinking twice is harmless. */
#ifndef GNT_BASE_LIST_H
#define GNT_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct gnt_list {
    struct gnt_list *next;
    struct gnt_list *prev;
};

#define GNT_CONTAINER(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void gnt_list_init(struct gnt_list *l)
{
    l->next = l->prev = l;
}

static inline bool gnt_list_empty(const struct gnt_list *l)
{
    return l->next == l;
}

/* Whether NODE, which has been initialised, is linked into some list. */
static inline bool gnt_list_linked(const struct gnt_list *node)
{
    return node->next != node;
}

static inline void gnt_list_insert_before(struct gnt_list *at, struct gnt_list *node)
{
    node->next = at;
    node->prev = at->prev;
    at->prev->next = node;
    at->prev = node;
}

static inline void gnt_list_push_back(struct gnt_list *list, struct gnt_list *node)
{
    gnt_list_insert_before(list, node);
}

static inline void gnt_list_push_front(struct gnt_list *list, struct gnt_list *node)
{
    gnt_list_insert_before(list->next, node);
}

static inline void gnt_list_remove(struct gnt_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    gnt_list_init(node);
}

/* The first node taken out, or NULL. */
static inline struct gnt_list *gnt_list_pop_front(struct gnt_list *list)
{
    struct gnt_list *first = list->next;
    if (first == list)
        return NULL;
    gnt_list_remove(first);
    return first;
}

/* The same nodes in a list whose head is half as large, for what hardly ever has any.  A zeroed
 * ring is an empty one; a node that is in none may hold anything, and gnt_list_linked does not
 * tell. */
struct gnt_ring {
    struct gnt_list *first; /* NULL: it is empty */
};

static inline void gnt_ring_push_back(struct gnt_ring *ring, struct gnt_list *node)
{
    gnt_list_init(node);
    if (ring->first)
        gnt_list_insert_before(ring->first, node);
    else
        ring->first = node;
}

/* NODE must be in RING. */
static inline void gnt_ring_remove(struct gnt_ring *ring, struct gnt_list *node)
{
    if (ring->first == node)
        ring->first = gnt_list_linked(node) ? node->next : NULL;
    gnt_list_remove(node);
}

/* All nodes of FROM to the end of TO, in order; FROM is empty afterwards. */
static inline void gnt_list_splice_back(struct gnt_list *to, struct gnt_list *from)
{
    if (gnt_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    gnt_list_init(from);
}

#define gnt_list_each(node, list) \
    for (struct gnt_list *node = (list)->next; node != (list); node = node->next)

/* The body may remove NODE (and no other node). */
#define gnt_list_each_safe(node, list)                                                    \
    for (struct gnt_list *node = (list)->next, *node##_next = node->next; node != (list); \
         node = node##_next, node##_next = node->next)

#endif
