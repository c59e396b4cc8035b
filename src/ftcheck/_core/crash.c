/* The last words of a process that gets a fatal signal.
 *
 * The handler of the thread that faults
 *   1. claims the report (a second thread that faults at the same moment just waits for the end),
 *   2. writes the signal and its own Python stack,
 *   3. sends every other registered thread a signal whose handler makes that thread write *its own* stack and stay
 *      there: nobody walks the frames of a running thread,
 *   4. copies the end of what fds 2 and 1 hold where these are files (pytest's capture: a message such as
 *      "Fatal Python error: ..." or "stack smashing detected" would be lost with them),
 *   5. hands on to the handler that was there before (faulthandler's, which adds the C stack) and so to the signal's
 *      own effect: the exit status is the true one.
 * Py_FatalError() switches faulthandler off, which puts back the handler that faulthandler found: that must be ours, and
 * still ours must come first.  So ours is installed before faulthandler.enable() and once more after it.
 * A fault inside the report (the structures it reads may be the corrupted ones) jumps to the next step.
 * The format is read by plugin/evidence.py.
 */
#include "core.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef SIGRTMAX
#  define ASK_SIGNAL (SIGRTMAX - 5)
#else
#  define ASK_SIGNAL SIGUSR2
#endif
#define TAIL_SIZE 4096
#define PATIENCE_MS 200                            /* for each of the other threads, */
#define ALL_PATIENCE_MS 3000                       /* for all of them together, */
#define LEAST_PATIENCE_MS 20                       /* and for each when that is used up */

static const struct { int number; const char *name; } FATAL[] = {
    {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"}, {SIGFPE, "SIGFPE"}, {SIGILL, "SIGILL"}, {SIGABRT, "SIGABRT"},
};
#define FATAL_COUNT ((int)(sizeof FATAL / sizeof FATAL[0]))

static struct sigaction previous[FATAL_COUNT];
static int evidence_fd = -1;
static pid_t owner;                                /* a forked child's end is not ours to report */
static atomic_int claimed;
static pthread_t reporter;
static sigjmp_buf next_step;
static volatile sig_atomic_t guarded;

static void
write_thread(int fd, ftc_slot *slot, const char *what)
{
    ftc_write(fd, "thread-begin: ");
    ftc_write(fd, slot->label);
    if (atomic_load(&slot->round) >= 0) {
        ftc_write(fd, ", round ");
        ftc_write_number(fd, atomic_load(&slot->round));
        ftc_write(fd, ", ");
        ftc_write(fd, ftc_place_name(atomic_load(&slot->place)));
    }
    if (what != NULL) {
        ftc_write(fd, ": ");
        ftc_write(fd, what);
    }
    ftc_write(fd, "\n");
}

static void
answer(int Py_UNUSED(signum))                      /* runs on each of the other threads */
{
    int saved = errno;
    ftc_slot *slot = ftc_my_slot();
    if (slot != NULL && atomic_load(&claimed)) {
        /* One at a time: the reporter asks the next thread when this one has answered. */
        write_thread(evidence_fd, slot, NULL);
        ftc_write_stack(evidence_fd, slot->tstate);
        ftc_write(evidence_fd, "thread-end\n");
        atomic_store(&slot->answered, 1);
        for (;;) {
            pause();
        }
    }
    errno = saved;
}

static void
ask_other_threads(ftc_slot *mine)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = answer;
    action.sa_flags = SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(ASK_SIGNAL, &action, NULL);
    int all = ALL_PATIENCE_MS;
    for (int i = 0; i < FTC_MAX_SLOTS; i++) {
        ftc_slot *slot = &ftc_slots[i];
        if (slot == mine || atomic_load(&slot->used) != 1 || pthread_kill(slot->thread, ASK_SIGNAL) != 0) {
            continue;
        }
        int patience = all > 0 ? PATIENCE_MS : LEAST_PATIENCE_MS;
        for (; !atomic_load(&slot->answered) && patience > 0; patience--, all--) {
            struct timespec millisecond = {0, 1000 * 1000};
            nanosleep(&millisecond, NULL);
        }
        if (!atomic_load(&slot->answered)) {
            write_thread(evidence_fd, slot, "did not answer");
            ftc_write(evidence_fd, "thread-end\n");
        }
    }
}

static void
write_tail(int from, const char *name)
{
    char text[TAIL_SIZE + 1];
    struct stat status;
    if (fstat(from, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) {
        return;
    }
    off_t start = status.st_size > TAIL_SIZE ? status.st_size - TAIL_SIZE : 0;
    ssize_t got = pread(from, text, TAIL_SIZE, start);
    if (got <= 0) {
        return;
    }
    text[got] = '\0';
    ftc_write(evidence_fd, name);
    ftc_write(evidence_fd, "-begin\n");
    ftc_write(evidence_fd, text);
    ftc_write(evidence_fd, "\n");
    ftc_write(evidence_fd, name);
    ftc_write(evidence_fd, "-end\n");
}

/* Runs one step of the report; a fault in it ends the step, not the report. */
#define STEP(code)                                     \
    do {                                               \
        guarded = 1;                                   \
        if (sigsetjmp(next_step, 1) == 0) { code; }    \
        else { ftc_write(evidence_fd, "\n(unreadable: the interpreter's own memory is damaged)\nthread-end\n"); } \
        guarded = 0;                                   \
    } while (0)

static void
report(int index, siginfo_t *info)
{
    ftc_slot *mine = ftc_my_slot();
    ftc_write(evidence_fd, "fatal-signal: ");
    ftc_write_number(evidence_fd, FATAL[index].number);
    ftc_write(evidence_fd, " ");
    ftc_write(evidence_fd, FATAL[index].name);
    if (info->si_code > 0 && (FATAL[index].number == SIGSEGV || FATAL[index].number == SIGBUS)) {   /* not by kill() */
        ftc_write(evidence_fd, "\nfault-address: ");
        ftc_write_hex(evidence_fd, (uintptr_t)info->si_addr);
    }
    ftc_write(evidence_fd, "\n");
    STEP(
        if (mine != NULL) {
            write_thread(evidence_fd, mine, "got the signal here");
            ftc_write_stack(evidence_fd, mine->tstate);
            ftc_write(evidence_fd, "thread-end\n");
        }
    );
    STEP(ask_other_threads(mine));
    STEP(write_tail(2, "stderr"));
    STEP(write_tail(1, "stdout"));
    ftc_write(evidence_fd, "faulthandler-begin\n");
}

void
ftc_report_stuck(void)
{
    int expected = 0;
    if (evidence_fd < 0 || getpid() != owner || !atomic_compare_exchange_strong(&claimed, &expected, 1)) {
        return;
    }
    reporter = pthread_self();
    ftc_write(evidence_fd, "hang: no Python code could run any more\n");
    STEP(ask_other_threads(NULL));
    STEP(write_tail(2, "stderr"));
    STEP(write_tail(1, "stdout"));
}

static void
on_fatal_signal(int signum, siginfo_t *info, void *context)
{
    int index = 0;
    while (index < FATAL_COUNT - 1 && FATAL[index].number != signum) {
        index++;
    }
    int expected = 0;
    if (getpid() != owner) {                       /* nor is its stack: faulthandler writes to the same file */
        signal(signum, SIG_DFL);
        raise(signum);
        return;
    }
    if (atomic_compare_exchange_strong(&claimed, &expected, 1)) {
        reporter = pthread_self();
        report(index, info);
    }
    else if (!pthread_equal(reporter, pthread_self())) {
        for (;;) {
            pause();                               /* another thread is reporting; it ends the process */
        }
    }
    else if (guarded) {
        guarded = 0;
        siglongjmp(next_step, 1);
    }
    else {                                         /* back from faulthandler: all is said */
        signal(signum, SIG_DFL);
        raise(signum);
        return;
    }
    struct sigaction *before = &previous[index];
    sigaction(signum, before, NULL);
    if (before->sa_flags & SA_SIGINFO) {
        before->sa_sigaction(signum, info, context);
    }
    else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
        before->sa_handler(signum);
    }
    signal(signum, SIG_DFL);
    raise(signum);
}

PyObject *
ftc_watch_fatal_signals(PyObject *Py_UNUSED(module), PyObject *fd)
{
    int number = PyObject_AsFileDescriptor(fd);
    if (number < 0) {
        return NULL;
    }
    owner = getpid();
    evidence_fd = number;
    for (int i = 0; i < FATAL_COUNT; i++) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_sigaction = on_fatal_signal;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        sigemptyset(&action.sa_mask);
        struct sigaction replaced;
        if (sigaction(FATAL[i].number, &action, &replaced) != 0) {
            return PyErr_SetFromErrno(PyExc_OSError);
        }
        if (!(replaced.sa_flags & SA_SIGINFO) || replaced.sa_sigaction != on_fatal_signal) {
            previous[i] = replaced;
        }
    }
    Py_RETURN_NONE;
}

PyObject *
ftc_unwatch_fatal_signals(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (evidence_fd >= 0) {
        for (int i = 0; i < FATAL_COUNT; i++) {
            sigaction(FATAL[i].number, &previous[i], NULL);
        }
        evidence_fd = -1;
    }
    Py_RETURN_NONE;
}
