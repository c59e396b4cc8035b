// A sum without a lock, in C++: `sum += step` in two threads at a time is a data race.
#include <Python.h>
#include <vector>

struct Sum {
    std::vector<long> steps{1, 2, 3};
    long sum = 0;

    // A function of its own: within the loop, the compiler would read `sum` once, in the line of the loop.
    __attribute__((noinline)) void add_one(long step)
    {
        sum += step; // RACE
    }

    void add()
    {
        for (long step : steps) {
            add_one(step);
        }
    }
};

static Sum shared;

static PyObject *add(PyObject *, PyObject *times)
{
    long many = PyLong_AsLong(times);
    for (long i = 0; i < many; i++) {
        shared.add();
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"add", add, METH_O, nullptr}, {nullptr, nullptr, 0, nullptr}};

static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, nullptr}};

static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "racy_cmake", nullptr, 0, methods, slots, nullptr, nullptr, nullptr};

PyMODINIT_FUNC PyInit_racy_cmake()
{
    return PyModuleDef_Init(&definition);
}
