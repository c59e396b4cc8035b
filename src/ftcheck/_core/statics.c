/* Static memory of other modules, compared with what it was.
 *
 * statics.py keeps a copy of the writable sections of the extension modules that it watches.  After each test the memory is
 * compared with the copy, and the copy becomes what the memory is.  Mostly nothing has changed, so what counts is the cost of
 * finding that out: the memory comes in pieces that fit into a cache, each is compared as a whole, and only a piece that
 * differs is looked at word by word.
 *
 * The memory is read by process_vm_readv() of the own process: where it is mapped no longer, that fails, and a read would
 * be a fatal signal.  Some sandboxes forbid that call; there the memory is read directly, which is right as long as the
 * module is loaded, and the interpreter unloads none.  Other threads may be writing meanwhile: a torn word is a change that is
 * seen now, and again later.
 *
 * What the interpreter writes into a static object is told from the module's own writes by the field it is in (noise.py).
 * Where these are depends on the build, so it is asked of the compiler here.
 */
#ifndef _GNU_SOURCE
#  define _GNU_SOURCE
#endif
#include "core.h"

#ifdef __linux__
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECE (64 * 1024)
#define WORD 8

static int
fetch(uintptr_t from, char *into, size_t size)
{
    struct iovec local = {into, size}, remote = {(void *)from, size};
    ssize_t got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
    if (got < 0 && (errno == EPERM || errno == ENOSYS)) {
        memcpy(into, (const void *)from, size);
        return 0;
    }
    return got == (ssize_t)size ? 0 : -1;
}

/* Adds (offset, old, new) of each run of words that differ.  -1: no memory. */
static int
note_changes(PyObject *changes, const char *old, const char *new, size_t size, size_t offset)
{
    size_t begin = 0;
    int in_run = 0;
    for (size_t at = 0; at <= size; at += WORD) {
        size_t width = at + WORD <= size ? WORD : size - (at < size ? at : size);
        int differs = at < size && memcmp(old + at, new + at, width) != 0;
        if (differs && !in_run) {
            begin = at;
        }
        if (in_run && !differs) {
            size_t end = at < size ? at : size;
            PyObject *one = Py_BuildValue("ny#y#", (Py_ssize_t)(offset + begin), old + begin, (Py_ssize_t)(end - begin),
                                          new + begin, (Py_ssize_t)(end - begin));
            int failed = one == NULL || PyList_Append(changes, one) < 0;
            Py_XDECREF(one);
            if (failed) {
                return -1;
            }
        }
        in_run = differs;
    }
    if (in_run) {                                       /* the size is no multiple of a word, and the last bytes differ */
        PyObject *one = Py_BuildValue("ny#y#", (Py_ssize_t)(offset + begin), old + begin, (Py_ssize_t)(size - begin),
                                      new + begin, (Py_ssize_t)(size - begin));
        int failed = one == NULL || PyList_Append(changes, one) < 0;
        Py_XDECREF(one);
        return failed ? -1 : 0;
    }
    return 0;
}

PyObject *
ftc_static_copy(PyObject *module, PyObject *args)
{
    unsigned long long address;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "Kn:static_copy", &address, &size)) {
        return NULL;
    }
    PyObject *copy = PyByteArray_FromStringAndSize(NULL, size);
    for (Py_ssize_t at = 0; copy != NULL && at < size; at += PIECE) {
        if (fetch((uintptr_t)address + at, PyByteArray_AS_STRING(copy) + at, (size_t)Py_MIN(PIECE, size - at)) < 0) {
            Py_DECREF(copy);
            Py_RETURN_NONE;
        }
    }
    return copy;
}

PyObject *
ftc_static_changes(PyObject *module, PyObject *args)
{
    unsigned long long address;
    Py_buffer copy;
    if (!PyArg_ParseTuple(args, "Kw*:static_changes", &address, &copy)) {
        return NULL;
    }
    PyObject *changes = PyList_New(0);
    char *piece = PyMem_Malloc(PIECE);
    int gone = 0;
    if (changes == NULL || piece == NULL) {
        goto failed;
    }
    for (size_t at = 0; at < (size_t)copy.len; at += PIECE) {
        size_t size = (size_t)copy.len - at < PIECE ? (size_t)copy.len - at : PIECE;
        char *old = (char *)copy.buf + at;
        if (fetch((uintptr_t)address + at, piece, size) < 0) {
            gone = 1;
            break;
        }
        if (memcmp(old, piece, size) != 0) {
            if (note_changes(changes, old, piece, size, at) < 0) {
                goto failed;
            }
            memcpy(old, piece, size);
        }
    }
    PyMem_Free(piece);
    PyBuffer_Release(&copy);
    if (gone) {
        Py_DECREF(changes);
        Py_RETURN_NONE;
    }
    return changes;
failed:
    PyMem_Free(piece);
    PyBuffer_Release(&copy);
    Py_XDECREF(changes);
    return PyErr_Occurred() ? NULL : PyErr_NoMemory();
}

#define FIELD(type, field) #field, (Py_ssize_t)offsetof(type, field)

PyObject *
ftc_static_layouts(PyObject *module, PyObject *ignored)
{
    return Py_BuildValue(
        "{s:n,s:n,s:n,s:n,s:{s:n,s:n,s:n,s:n,s:n,s:n,s:n,s:n,s:n}}",
        "object", (Py_ssize_t)sizeof(PyObject), "ob_type", (Py_ssize_t)offsetof(PyObject, ob_type),
        "type", (Py_ssize_t)sizeof(PyTypeObject), "module", (Py_ssize_t)sizeof(PyModuleDef),
        "fields", FIELD(PyTypeObject, tp_flags), FIELD(PyTypeObject, tp_dict), FIELD(PyTypeObject, tp_mro),
        FIELD(PyTypeObject, tp_cache), FIELD(PyTypeObject, tp_subclasses), FIELD(PyTypeObject, tp_weaklist),
        FIELD(PyTypeObject, tp_version_tag), FIELD(PyTypeObject, tp_watched), FIELD(PyTypeObject, tp_del));
}
#endif
