/* Two threads of the extension that meet at a barrier, twice in each step.
 *
 * Right:   both write a cell of their own, meet, read the other's cell, and meet again: nobody begins
 *          the next step while somebody reads.
 * The GIL: threads that C code starts do not know of it.
 */
#include <Python.h>
#include <pthread.h>
#include <stdlib.h>

#define STEPS 500

typedef struct {
    pthread_barrier_t barrier;
    volatile long cells[2];
    long wrong[2];
} Table;

typedef struct {
    Table *table;
    int me;
} Part;

static void *
work(void *argument)
{
    Part *part = argument;
    Table *table = part->table;
    int me = part->me;
    for (long step = 1; step <= STEPS; step++) {
        table->cells[me] = step;
        pthread_barrier_wait(&table->barrier);
        table->wrong[me] += table->cells[!me] != step;
        pthread_barrier_wait(&table->barrier);
    }
    return NULL;
}

static PyObject *
run(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    Table *table = calloc(1, sizeof *table);
    Part *parts = calloc(2, sizeof *parts);
    long wrong = -1;
    if (table != NULL && parts != NULL && pthread_barrier_init(&table->barrier, NULL, 2) == 0) {
        parts[0] = (Part){table, 0};
        parts[1] = (Part){table, 1};
        Py_BEGIN_ALLOW_THREADS
        pthread_t other;
        if (pthread_create(&other, NULL, work, &parts[1]) == 0) {
            work(&parts[0]);
            pthread_join(other, NULL);
            wrong = table->wrong[0] + table->wrong[1];
        }
        pthread_barrier_destroy(&table->barrier);
        Py_END_ALLOW_THREADS
    }
    free(table);
    free(parts);
    return wrong < 0 ? PyErr_NoMemory() : PyLong_FromLong(wrong);
}

static PyMethodDef methods[] = {
    {"run", run, METH_NOARGS, "How often a thread has read a number of another step than its own."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_barrier",
    .m_doc = "Two threads that meet at a barrier.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_barrier(void)
{
    return PyModuleDef_Init(&module_def);
}
