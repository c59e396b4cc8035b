/* Could another thread of this process go on, if it were let have a CPU?
 *
 * Who waits until the others get no further (delays.c) has to tell those who cannot go on from those who only wait for a CPU, which
 * may take long on a machine that has more to do.  The system says so: /proc/self/task/ID/stat (proc(5)).
 *
 * This is asked in the middle of any code, perhaps within malloc(): so nothing here takes memory.
 */
#include "native.h"
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
is_runnable(const char *task)
{
    char text[512];
    snprintf(text, sizeof text, "/proc/self/task/%s/stat", task);
    int file = open(text, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0) {
        close(file);
    }
    text[size < 0 ? 0 : size] = '\0';
    const char *name_end = strrchr(text, ')');         /* "12 (its name) R 1 ..." */
    return name_end != NULL && strncmp(name_end, ") R", 3) == 0;
}

int
ftc_somebody_can_run(void)
{
    char entries[4096];
    int folder = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = 0;
    pid_t me = gettid();
    for (ssize_t size; !found && folder >= 0 && (size = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0;) {
        for (ssize_t at = 0; !found && at < size;) {
            const struct dirent64 *one = (const void *)(entries + at);
            found = isdigit((unsigned char)one->d_name[0]) && atoi(one->d_name) != me && is_runnable(one->d_name);
            at += one->d_reclen;
        }
    }
    if (folder >= 0) {
        close(folder);
    }
    return found;
}
