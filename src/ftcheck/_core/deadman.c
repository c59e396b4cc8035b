/* A dead man's switch: ends a process in which no Python code can run any more.
 *
 * A C loop that holds the GIL, or that never lets a stop-the-world pause happen, stops every Python thread, and with
 * them whoever would notice the hang.  So a plain C thread, unknown to the interpreter, looks at a deadline twice a
 * second.  Python code keeps moving the deadline; when it passes, the registered threads write their stacks
 * (crash.c) and the process ends.
 */
#include "core.h"
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#  include <sys/syscall.h>
#endif

static atomic_llong deadline_ms;                   /* CLOCK_MONOTONIC; 0: none */
static atomic_int started, exit_status;
static atomic_long native_id;

static long long
now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *
watch(void *Py_UNUSED(nothing))
{
#ifdef __linux__
    atomic_store(&native_id, (long)syscall(SYS_gettid));
#endif
    for (;;) {
        struct timespec tick = {0, 500 * 1000 * 1000};
        nanosleep(&tick, NULL);
        long long deadline = atomic_load(&deadline_ms);
        if (deadline != 0 && now_ms() > deadline) {
            ftc_report_stuck();
            _exit(atomic_load(&exit_status));
        }
    }
    return NULL;
}

int
ftc_dead_man_is_there(void)
{
    return atomic_load(&started) != 0;
}

PyObject *
ftc_dead_man(PyObject *Py_UNUSED(module), PyObject *args)
{
    double seconds;
    int status;
    if (!PyArg_ParseTuple(args, "di:dead_man", &seconds, &status)) {
        return NULL;
    }
    atomic_store(&exit_status, status);
    atomic_store(&deadline_ms, seconds > 0 ? now_ms() + (long long)(seconds * 1000) : 0);
    if (!atomic_exchange(&started, 1)) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, watch, NULL) != 0) {
            atomic_store(&started, 0);
            return PyErr_SetFromErrno(PyExc_OSError);
        }
        pthread_detach(thread);
        for (int i = 0; i < 1000 && atomic_load(&native_id) == 0; i++) {
            struct timespec moment = {0, 100 * 1000};
            nanosleep(&moment, NULL);              /* so that the caller sees its native id */
        }
    }
    return PyLong_FromLong(atomic_load(&native_id));
}
