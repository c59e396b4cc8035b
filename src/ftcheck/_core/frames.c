/* A thread's Python stack as text, written with nothing but write(2).
 *
 * Called in signal handlers, on the thread whose stack it is, so that the frames cannot change underneath.  It reads
 * the interpreter's own structures (Include/internal/pycore_interpframe_structs.h), which may be what the program has
 * just corrupted: crash.c guards the whole walk against a second fault.
 */
#ifndef Py_BUILD_CORE_MODULE
#  define Py_BUILD_CORE_MODULE 1
#endif
#include "core.h"
#include "internal/pycore_interpframe_structs.h"
#include <string.h>
#include <unistd.h>

#define MAX_DEPTH 64

void
ftc_write(int fd, const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t done = write(fd, text, left);
        if (done <= 0) {
            return;
        }
        text += done;
        left -= (size_t)done;
    }
}

void
ftc_write_number(int fd, long long number)
{
    char digits[24], *p = digits + sizeof digits - 1;
    unsigned long long rest = number < 0 ? 0ULL - (unsigned long long)number : (unsigned long long)number;
    *p = '\0';
    do {
        *--p = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (number < 0) {
        *--p = '-';
    }
    ftc_write(fd, p);
}

void
ftc_write_hex(int fd, uintptr_t number)
{
    char digits[2 + 2 * sizeof number + 1], *p = digits + sizeof digits - 1;
    *p = '\0';
    do {
        *--p = "0123456789abcdef"[number & 15];
        number >>= 4;
    } while (number != 0);
    *--p = 'x';
    *--p = '0';
    ftc_write(fd, p);
}

static void
write_str(int fd, PyObject *str)
{
    char buffer[1024];
    size_t used = 0;
    if (str == NULL || !PyUnicode_Check(str)) {
        ftc_write(fd, "?");
        return;
    }
    Py_ssize_t length = PyUnicode_GET_LENGTH(str);
    int kind = PyUnicode_KIND(str);
    const void *data = PyUnicode_DATA(str);
    for (Py_ssize_t i = 0; i < length && used < sizeof buffer - 4; i++) {
        Py_UCS4 c = PyUnicode_READ(kind, data, i);
        if (c < 0x20 || c == 0x7f || c > 0xffff) {
            buffer[used++] = '?';
        }
        else if (c < 0x80) {
            buffer[used++] = (char)c;
        }
        else if (c < 0x800) {
            buffer[used++] = (char)(0xc0 | (c >> 6));
            buffer[used++] = (char)(0x80 | (c & 0x3f));
        }
        else {
            buffer[used++] = (char)(0xe0 | (c >> 12));
            buffer[used++] = (char)(0x80 | ((c >> 6) & 0x3f));
            buffer[used++] = (char)(0x80 | (c & 0x3f));
        }
    }
    buffer[used] = '\0';
    ftc_write(fd, buffer);
}

void
ftc_write_stack(int fd, PyThreadState *tstate)
{
    if (tstate == NULL) {
        return;
    }
    struct _PyInterpreterFrame *frame = tstate->current_frame;
    int depth = 0;
    for (; frame != NULL && depth < MAX_DEPTH; frame = frame->previous) {
        if (frame->owner >= FRAME_OWNED_BY_INTERPRETER) {
            continue;                              /* a C entry into the interpreter, no Python code */
        }
        PyObject *code = PyUnstable_InterpreterFrame_GetCode(frame);
        if (code == NULL || !PyCode_Check(code)) {
            continue;
        }
        ftc_write(fd, "  File \"");
        write_str(fd, ((PyCodeObject *)code)->co_filename);
        ftc_write(fd, "\", line ");
        ftc_write_number(fd, PyUnstable_InterpreterFrame_GetLine(frame));
        ftc_write(fd, ", in ");
        write_str(fd, ((PyCodeObject *)code)->co_qualname);
        ftc_write(fd, "\n");
        depth++;
    }
    if (depth == 0) {
        ftc_write(fd, "  (no Python frame)\n");
    }
    else if (frame != NULL) {
        ftc_write(fd, "  (more frames)\n");
    }
}
