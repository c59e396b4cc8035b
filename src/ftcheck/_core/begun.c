/* Threads that an extension begins, and joins.
 *
 * Each function is a border as any call is.  By the strict rule a thread hears what was done before it began, and who joins it hears
 * all that it has done (strict.c); under the explorer it is one of the run's (native_threads.c).  A thread that was begun by a function
 * that is not here hears all that is over when it first accesses something.
 */
#include "native.h"
#include <stdlib.h>
#include <threads.h>

#define TELL(what) ftc_strict_told((uintptr_t)(what))
#define HEAR(what) ftc_strict_heard((uintptr_t)(what))

typedef struct {
    void *(*work)(void *);
    thrd_start_t c_work;
    void *argument;
    ftc_c_thread thread;             /* under the explorer: native_threads.c */
} beginning;

static beginning
begun(void *of)
{
    beginning mine = *(beginning *)of;
    ftc_strict_begins((uintptr_t)of);
    free(of);
    ftc_c_thread_begins(mine.thread);
    return mine;
}

static void
ends(void *Py_UNUSED(ignored))
{
    ftc_c_thread_ends();
}

static void *
begin(void *of)
{
    beginning mine = begun(of);
    void *result;
    pthread_cleanup_push(ends, NULL);
    result = mine.work(mine.argument);
    pthread_cleanup_pop(1);
    return result;
}

static int
begin_c(void *of)
{
    beginning mine = begun(of);
    int result;
    pthread_cleanup_push(ends, NULL);
    result = mine.c_work(mine.argument);
    pthread_cleanup_pop(1);
    return result;
}

/* NULL: nobody has to know that it begins. */
static beginning *
begins(beginning what)
{
    what.thread = ftc_c_thread_comes();
    beginning *all = (ftc_strict && ftc_native_on) || what.thread.worker != NULL ? malloc(sizeof *all) : NULL;
    if (all != NULL) {
        *all = what;
        ftc_block_taken(all, sizeof *all);             /* the clock of who had this memory is not ours */
        TELL(all);
    }
    else {
        ftc_c_thread_does_not_come(what.thread);
    }
    return all;
}

/* It is on its way, or could not be made; it has freed `of` itself, perhaps. */
static void
made(int failed, beginning *of, ftc_c_thread mine, pthread_t thread)
{
    if (!failed) {
        ftc_c_thread_is(mine, thread);
        return;
    }
    ftc_c_thread_does_not_come(mine);
    free(of);
}

static int
create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *), void *argument)
{
    ftc_call_out(FTC_CALLER);
    beginning *of = begins((beginning){.work = work, .argument = argument});
    if (of == NULL) {
        return pthread_create(thread, attributes, work, argument);
    }
    ftc_c_thread mine = of->thread;
    int failed = pthread_create(thread, attributes, begin, of);
    made(failed, of, mine, *thread);
    return failed;
}

static int
create_c(thrd_t *thread, thrd_start_t work, void *argument)
{
    ftc_call_out(FTC_CALLER);
    beginning *of = begins((beginning){.c_work = work, .argument = argument});
    if (of == NULL) {
        return thrd_create(thread, work, argument);
    }
    ftc_c_thread mine = of->thread;
    int result = thrd_create(thread, begin_c, of);
    made(result != thrd_success, of, mine, *thread);
    return result;
}

static int
join(pthread_t thread, void **result)
{
    ftc_call_out(FTC_CALLER);
    ftc_c_thread_join(thread);
    int failed = pthread_join(thread, result);
    if (!failed) {
        HEAR(thread);                                  /* which it has told at its end: watchers.c */
    }
    return failed;
}

static int
join_c(thrd_t thread, int *result)
{
    ftc_call_out(FTC_CALLER);
    ftc_c_thread_join(thread);
    int status = thrd_join(thread, result);
    if (status == thrd_success) {
        HEAR(thread);
    }
    return status;
}

static void (*real_cxx_join)(pthread_t *thread);

static void
cxx_join(pthread_t *thread)                            /* std::thread: its only member is that */
{
    pthread_t which = *thread;
    ftc_call_out(FTC_CALLER);
    ftc_c_thread_join(which);
    real_cxx_join(thread);
    HEAR(which);
}

static void (*real_cxx_start)(pthread_t *thread, void **state, void (*depend)(void));

/* What std::thread is to run is an object with three virtual functions: two destructors, of which the second frees it, and run(). */
static void *
run_state(void *state)
{
    void (**functions)(void *) = *(void (***)(void *))state;
    functions[2](state);
    functions[1](state);
    return NULL;
}

/* std::thread::_M_start_thread() of libstdc++ makes the thread within the library, where nobody sees it; so it is made here. */
static void
cxx_start(pthread_t *thread, void **state, void (*depend)(void))
{
    ftc_call_out(FTC_CALLER);
    beginning *of = begins((beginning){.work = run_state, .argument = *state});
    ftc_c_thread mine = of == NULL ? (ftc_c_thread){0} : of->thread;
    int failed = of == NULL || pthread_create(thread, NULL, begin, of) != 0;
    if (of != NULL) {
        made(failed, of, mine, *thread);
    }
    if (failed) {
        real_cxx_start(thread, state, depend);
    }
    else {
        *state = NULL;                                 /* a std::unique_ptr: the thread has it */
    }
}

typedef void (*function)(void);

static const ftc_wrapper wrappers[] = {
    {"pthread_create", (function)create}, {"pthread_join", (function)join},
    {"thrd_create", (function)create_c}, {"thrd_join", (function)join_c},
    {"_ZNSt6thread4joinEv", (function)cxx_join, (void **)&real_cxx_join},
    {"_ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE", (function)cxx_start,
     (void **)&real_cxx_start},
};

void *
ftc_begun_wrapper_for(const char *name, void *real)
{
    return ftc_wrapper_in(wrappers, sizeof wrappers / sizeof *wrappers, name, real);
}
