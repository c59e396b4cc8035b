/* Could another thread of this process go on, if it were let have a CPU?
 *
 * Who waits until the others get no further (delays.c) has to tell those who cannot go on from those who only wait for a CPU, which
 * may take long on a machine that has more to do.  The system says so: /proc/self/task/ID/stat (proc(5)).
 *
 * This is asked in the middle of any code, perhaps within malloc(): so nothing here takes memory.
 */
#include "native.h"
#include "sched.h"
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int
ftc_somebody_can_run(void)
{
    char entries[4096];
    int folder = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = 0;
    pid_t me = gettid();
    for (ssize_t size; !found && folder >= 0 && (size = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0;) {
        for (ssize_t at = 0; !found && at < size;) {
            const struct dirent64 *one = (const void *)(entries + at);
            found = isdigit((unsigned char)one->d_name[0]) && atoi(one->d_name) != me && ftc_task_state(atoi(one->d_name)) == 'R';
            at += one->d_reclen;
        }
    }
    if (folder >= 0) {
        close(folder);
    }
    return found;
}
