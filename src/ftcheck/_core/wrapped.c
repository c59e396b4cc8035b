/* Imported functions of which something is known: what they read and write, or that they release something (locks: held.c).
 *
 * Those that only read and write are no borders (native.h): a lock within them orders nothing of what the extension does.
 */
#include "native.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define READ(pointer, size) ftc_range((uintptr_t)(pointer), (size_t)(size), FTC_READS, FTC_CALLER)
#define WRITE(pointer, size) ftc_range((uintptr_t)(pointer), (size_t)(size), FTC_WRITES, FTC_CALLER)

/* --- what is released by them can be taken by an atomic operation of the extension ------------------------------------ */

static void (*real_guard_release)(void *guard);        /* of the C++ library, which comes with who needs it */

static void
release_guard(void *guard)
{
    ftc_release_at((uintptr_t)guard);
    ftc_call_out(FTC_CALLER);
    real_guard_release(guard);
}

/* --- memory ----------------------------------------------------------------------------------------------------------- */

static void *
copy(void *to, const void *from, size_t size)
{
    READ(from, size);
    WRITE(to, size);
    return memcpy(to, from, size);
}

static void *
move(void *to, const void *from, size_t size)
{
    READ(from, size);
    WRITE(to, size);
    return memmove(to, from, size);
}

static void *
set(void *to, int byte, size_t size)
{
    WRITE(to, size);
    return memset(to, byte, size);
}

static int
compare(const void *a, const void *b, size_t size)
{
    READ(a, size);
    READ(b, size);
    return memcmp(a, b, size);
}

/* --- text ------------------------------------------------------------------------------------------------------------- */

static size_t
length(const char *text)
{
    size_t size = strlen(text);
    READ(text, size + 1);
    return size;
}

static int
compare_texts(const char *a, const char *b)
{
    READ(a, strlen(a) + 1);
    READ(b, strlen(b) + 1);
    return strcmp(a, b);
}

static char *
copy_text(char *to, const char *from)
{
    size_t size = strlen(from) + 1;
    READ(from, size);
    WRITE(to, size);
    return memcpy(to, from, size);
}

static char *
copy_part_of_text(char *to, const char *from, size_t size)
{
    READ(from, strnlen(from, size));
    WRITE(to, size);
    return strncpy(to, from, size);
}

static char *
append_text(char *to, const char *from)
{
    READ(to, strlen(to) + 1);
    WRITE(to + strlen(to), strlen(from) + 1);
    return strcat(to, from);
}

static int
print_at_most(char *to, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int printed = vsnprintf(to, size, format, arguments);
    va_end(arguments);
    if (size > 0 && printed >= 0) {
        WRITE(to, (size_t)printed < size ? (size_t)printed + 1 : size);
    }
    return printed;
}

static int
print_to_text(char *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int printed = vsprintf(to, format, arguments);
    va_end(arguments);
    if (printed >= 0) {
        WRITE(to, (size_t)printed + 1);
    }
    return printed;
}

static int
print_arguments(char *to, size_t size, const char *format, va_list arguments)
{
    int printed = vsnprintf(to, size, format, arguments);
    if (size > 0 && printed >= 0) {
        WRITE(to, (size_t)printed < size ? (size_t)printed + 1 : size);
    }
    return printed;
}

/* --- objects made of memory: read, then a border like any call of the interpreter --------------------------------------- */

static PyObject *
text_of(const char *text)
{
    READ(text, strlen(text) + 1);
    ftc_call_out(FTC_CALLER);
    return PyUnicode_FromString(text);
}

static PyObject *
text_of_size(const char *text, Py_ssize_t size)
{
    if (text != NULL && size > 0) {
        READ(text, size);
    }
    ftc_call_out(FTC_CALLER);
    return PyUnicode_FromStringAndSize(text, size);
}

static PyObject *
bytes_of(const char *text)
{
    READ(text, strlen(text) + 1);
    ftc_call_out(FTC_CALLER);
    return PyBytes_FromString(text);
}

static PyObject *
bytes_of_size(const char *text, Py_ssize_t size)
{
    if (text != NULL && size > 0) {
        READ(text, size);
    }
    ftc_call_out(FTC_CALLER);
    return PyBytes_FromStringAndSize(text, size);
}

/* --- the lists ---------------------------------------------------------------------------------------------------------- */

typedef void (*function)(void);

static const struct { const char *name; function wrapper; } wrappers[] = {
    {"__cxa_guard_release", (function)release_guard},
    {"memcpy", (function)copy}, {"memmove", (function)move}, {"memset", (function)set}, {"memcmp", (function)compare},
    {"strlen", (function)length}, {"strcmp", (function)compare_texts}, {"strcpy", (function)copy_text},
    {"strncpy", (function)copy_part_of_text}, {"strcat", (function)append_text},
    {"snprintf", (function)print_at_most}, {"PyOS_snprintf", (function)print_at_most}, {"sprintf", (function)print_to_text},
    {"vsnprintf", (function)print_arguments}, {"PyOS_vsnprintf", (function)print_arguments},
    {"PyUnicode_FromString", (function)text_of}, {"PyUnicode_FromStringAndSize", (function)text_of_size},
    {"PyBytes_FromString", (function)bytes_of}, {"PyBytes_FromStringAndSize", (function)bytes_of_size},
};

/* Where there are two functions of a name, the other one is a border only. */
void *
ftc_wrapper_in(const ftc_wrapper *table, size_t count, const char *name, void *real)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, name) == 0) {
            void *wrapper = (void *)table[i].wrapper, **kept = table[i].real;
            if (kept == NULL || real == wrapper) {
                return wrapper;
            }
            *kept = *kept == NULL ? real : *kept;
            return *kept == real ? wrapper : NULL;
        }
    }
    return NULL;
}

void *
ftc_wrapper_for(const char *name, void *real)
{
    if (strcmp(name, "__cxa_guard_release") == 0 && real != (void *)release_guard) {
        real_guard_release = (void (*)(void *))real;
    }
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++) {
        if (strcmp(wrappers[i].name, name) == 0) {
            return (void *)wrappers[i].wrapper;
        }
    }
    void *waiting = ftc_waiting_wrapper_for(name, real);
    void *lock = waiting != NULL ? waiting : ftc_lock_wrapper_for(name);
    void *sync = lock != NULL ? lock : ftc_sync_wrapper_for(name, real);
    void *begun = sync != NULL ? sync : ftc_begun_wrapper_for(name, real);
    void *taking = begun != NULL ? begun : ftc_taking_wrapper_for(name, real);
    return taking != NULL ? taking : ftc_heap_wrapper_for(name, real);
}

/* Pure functions (_ZGV...: those of vectors), and what the compiler calls in a way of its own.  What leaves a function by an
 * exception or a jump is none of them: nobody says that it was left. */
static const char *const no_borders[] = {
    "strchr", "strrchr", "strstr", "strncmp", "strcasecmp", "strncasecmp", "strspn", "strcspn", "strpbrk", "strnlen", "memchr",
    "memrchr", "memmem", "strtol", "strtoul", "strtoll", "strtoull", "strtod", "atoi", "atol", "atof", "abs", "labs", "llabs",
    "toupper", "tolower", "isalpha", "isdigit", "isspace", "__ctype_b_loc", "__ctype_tolower_loc", "__ctype_toupper_loc",
    "sqrt", "pow", "exp", "log", "log2", "log10", "log1p", "expm1", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh",
    "tanh", "floor", "ceil", "round", "trunc", "rint", "lrint", "llrint", "lround", "fmod", "hypot", "fma", "fmin", "fmax", "ldexp", "frexp",
    "modf", "cbrt", "erf", "lgamma", "tgamma", "nearbyint", "sqrtf", "powf", "expf", "logf", "sinf", "cosf", "floorf", "ceilf", "roundf",
    "__errno_location", "__stack_chk_fail", "__tls_get_addr", "__cxa_finalize", "__cxa_atexit", "__gmon_start__",
    "__cxa_begin_catch", "__cxa_allocate_exception", "__cxa_free_exception", "__gxx_personality_v0", "__dynamic_cast",
    "__cxa_pure_virtual", "mcount", "_mcount", "__fentry__",
    "PyErr_Occurred", "PyType_IsSubtype", "PyThreadState_GetUnchecked", "PyThreadState_Get",
};

int
ftc_orders_nothing(const char *name)
{
    for (size_t i = 0; i < sizeof no_borders / sizeof *no_borders; i++) {
        if (strcmp(no_borders[i], name) == 0) {
            return 1;
        }
    }
    return strncmp(name, "_ITM_", 5) == 0 || strncmp(name, "_ZGV", 4) == 0 || strncmp(name, "_ZTV", 4) == 0 || strncmp(name, "_ZTI", 4) == 0;
}

/* Slots of types are compared with these: another address would mean another thing. */
static const char *const compared[] = {
    "PyObject_GenericGetAttr", "PyObject_GenericSetAttr", "PyObject_GenericHash", "PyObject_HashNotImplemented", "PyObject_SelfIter",
    "PyObject_Free", "PyObject_Del", "PyObject_GC_Del", "PyType_GenericAlloc", "PyType_GenericNew", "PyCFunction_Call",
    "PyObject_VisitManagedDict", "_PyObject_NextNotImplemented", "PyVectorcall_Call",
};

int
ftc_address_matters(const char *name)
{
    for (size_t i = 0; i < sizeof compared / sizeof *compared; i++) {
        if (strcmp(compared[i], name) == 0) {
            return 1;
        }
    }
    return 0;
}
