#include "support/alloc_fault.h"

#include <stddef.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
void *__real_gnt_spare_get(size_t size);
void *__wrap_gnt_spare_get(size_t size);

static _Thread_local long left = -1;
static _Thread_local bool failed;

void gnt_alloc_fail_at(long n)
{
    left = n;
    failed = false;
}

bool gnt_alloc_failed(void)
{
    return failed;
}

static bool refuse(void)
{
    if (left < 0)
        return false;
    if (left-- > 0)
        return false;
    failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return refuse() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return refuse() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return refuse() ? NULL : __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return refuse() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

/* What it has at hand may fail as well as what it has to allocate, which is counted once. */
void *__wrap_gnt_spare_get(size_t size)
{
    if (refuse())
        return NULL;
    long rest = left;
    left = -1;
    void *p = __real_gnt_spare_get(size);
    left = rest;
    return p;
}
