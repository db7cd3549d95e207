/* Runs a fuzz target over nothing at all, then over each file of the directory named. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static int replay_file(const char *path)
{
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (!f || fstat(fileno(f), &st) != 0) {
        perror(path);
        return -1;
    }
    /* Exactly as large as the input, so that the sanitizers see a read past its end. */
    size_t size = (size_t)st.st_size;
    uint8_t *data = malloc(size ? size : 1);
    int result = data && fread(data, 1, size, f) == size ? 0 : -1;
    fclose(f);
    if (result == 0)
        LLVMFuzzerTestOneInput(data, size);
    else
        fprintf(stderr, "%s: cannot be read\n", path);
    free(data);
    return result;
}

int main(int argc, char **argv)
{
    int files = 0;
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (!dir) {
        fprintf(stderr, "usage: %s DIRECTORY (%s)\n", argv[0], argc == 2 ? argv[1] : "none");
        return 1;
    }
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name) >= (int)sizeof path ||
            replay_file(path) != 0) {
            closedir(dir);
            return 1;
        }
        files++;
    }
    closedir(dir);
    printf("%d seeds replayed\n", files);
    return files ? 0 : 1;
}
