/* A queue that is filled after the others were told that it is.
 *
 * Wrong:   put() counts the item and signals the condition under the mutex, and stores the item
 *          when it has unlocked it: who takes it out may be faster, and takes what was there before.
 * The GIL: it never helped here: both functions release it, for they wait.
 * The fix: store the item under the mutex, before it is counted (see safe/condition).
 */
#include <Python.h>
#include <pthread.h>

#define CAPACITY 2000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;  /* protects what follows */
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static long long items[CAPACITY], count, taken;

static PyObject *
put(PyObject *Py_UNUSED(module), PyObject *arg)
{
    long long number = PyLong_AsLongLong(arg);
    if (number < 0 || number > CAPACITY) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "at most %d", CAPACITY);
    }
    Py_BEGIN_ALLOW_THREADS
    for (long long i = 0; i < number; i++) {
        pthread_mutex_lock(&mutex);
        long long at = count++;
        pthread_cond_signal(&filled);
        pthread_mutex_unlock(&mutex);
        items[at] = i + 1;  /* race: 1 */
    }
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *
take(PyObject *Py_UNUSED(module), PyObject *arg)
{
    long long number = PyLong_AsLongLong(arg), sum = 0;
    if (number < 0 || number > CAPACITY) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "at most %d", CAPACITY);
    }
    Py_BEGIN_ALLOW_THREADS
    for (long long i = 0; i < number; i++) {
        pthread_mutex_lock(&mutex);
        while (taken == count) {
            pthread_cond_wait(&filled, &mutex);
        }
        sum += items[taken++];  /* race: 2 */
        pthread_mutex_unlock(&mutex);
    }
    Py_END_ALLOW_THREADS
    return PyLong_FromLongLong(sum);
}

static PyObject *
reset(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    pthread_mutex_lock(&mutex);
    count = taken = 0;
    for (int i = 0; i < CAPACITY; i++) {
        items[i] = 0;
    }
    pthread_mutex_unlock(&mutex);
    Py_RETURN_NONE;
}

static int
module_exec(PyObject *module)
{
    return PyModule_AddIntConstant(module, "CAPACITY", CAPACITY);
}

static PyMethodDef methods[] = {
    {"put", put, METH_O, "Put so many items into the queue."},
    {"take", take, METH_O, "Take so many out; their sum."},
    {"reset", reset, METH_NOARGS, "Begin again."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_condition",
    .m_doc = "A queue whose items come after their signal.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_condition(void)
{
    return PyModuleDef_Init(&module_def);
}
